#!/usr/bin/env bash
# The Python package beside its peers: bench_python.sh BIN FOLDER WHEEL PYTHON. PYTHON has torch, Pillow and what peers there are
# (webdataset, mosaicml-streaming, datasets, ffcv, pytorch-metric-learning); the wheel is put before it, not into it. A JSON line per
# reading in FOLDER/bench.jsonl; the tree and what the peers store are made once and kept.
set -euo pipefail
bin=$1 folder=$2 wheel=$3 python=$4
mkdir -p "$folder"
if [ ! -e "$folder/dataset/splits/bench.csv" ]; then
  rm -rf "$folder/raw" "$folder/dataset"
  "$bin/logodex-fixtures" tree --out "$folder/raw" --brands 200 --images-per-brand 20 --seed 3
  printf 'side = 224\nregion = "both"\n' > "$folder/build.toml"
  "$bin/logodex-data" build --raw "$folder/raw" --out "$folder/dataset" --config "$folder/build.toml"
  "$bin/logodex-data" split --dataset "$folder/dataset" --name bench --seed 1 --test 0.4 --val 0.1
fi
rm -rf "$folder/package"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/package" "$wheel"
{
  PYTHONPATH=$folder/package "$python" scripts/bench_python.py feed "$folder/dataset" bench "$folder/peers"
  PYTHONPATH=$folder/package "$python" scripts/bench_python.py judge "$folder/dataset" bench
} | tee "$folder/bench.jsonl"
