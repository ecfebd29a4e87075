#!/usr/bin/env bash
# The trainer beside PyTorch on the CPU: bench_train.sh BIN FOLDER [OPTION…]. The tree, the datasets and the peers are made
# once and kept. LOGODEX_BENCH_PYTHON names a Python that has the peers already. Options go to benches/feed.rs.
set -euo pipefail
bin=$1 folder=$2 python=${LOGODEX_BENCH_PYTHON:-target/bench-train-python/bin/python}
shift 2
requirements=trainer/benches/requirements.txt

cargo bench --locked --workspace --bench feed --no-run
if [ -z "${LOGODEX_BENCH_PYTHON:-}" ] && ! cmp -s "$requirements" target/bench-train-python/installed.txt; then
  python3 -m venv target/bench-train-python
  target/bench-train-python/bin/pip install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" target/bench-train-python/installed.txt
fi
if [ ! -e "$folder/raw/truth.json" ]; then
  rm -rf "$folder/raw"
  "$bin/logodex-fixtures" tree --out "$folder/raw" --brands 64 --images-per-brand 16 --seed 1
fi
for side in 64 224; do
  sed "s/^side = .*/side = $side/" pipeline/configs/logodet3k.toml >"$folder/$side.toml"
  "$bin/logodex-data" build --raw "$folder/raw" --out "$folder/$side" --config "$folder/$side.toml" >/dev/null
done
cargo bench --quiet --locked --workspace --bench feed -- --raw "$PWD/$folder/raw" --large "$PWD/$folder/224" \
  --small "$PWD/$folder/64" --python "$(realpath -s "$python")" --json "$PWD/$folder/results.json" "$@"
echo "the rounds are in $folder/results.json" >&2
