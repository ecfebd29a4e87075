#!/usr/bin/env bash
# The dataset engine and the audit beside their peers: bench_data.sh BIN FOLDER. The tree and the peers are made once and kept.
set -euo pipefail
bin=$1 folder=$2 python=target/bench-python
requirements=pipeline/benches/requirements.txt

cargo bench --locked --workspace --bench data --bench audit --no-run
if ! cmp -s "$requirements" "$python/installed.txt"; then
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$python/installed.txt"
fi
if [ ! -e "$folder/raw/truth.json" ]; then
  rm -rf "$folder/raw"
  "$bin/logodex-fixtures" tree --out "$folder/raw" --census fixtures/census.tsv --scale 0.02
fi
cargo bench --quiet --locked --workspace --bench data -- --raw "$PWD/$folder/raw" \
  --python "$PWD/$python/bin/python" --json "$PWD/$folder/results.json"
cargo bench --quiet --locked --workspace --bench audit -- --raw "$PWD/$folder/raw" \
  --python "$PWD/$python/bin/python" --json "$PWD/$folder/audit.json"
echo "the rounds are in $folder/results.json and $folder/audit.json" >&2
