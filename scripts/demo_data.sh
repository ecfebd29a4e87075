#!/usr/bin/env bash
# The demo's generated dataset with its split: demo_data.sh BIN DATA. What is there already is kept.
set -euo pipefail
bin=$1 data=$2

step() {
  printf '$ %s\n' "$*" >&2
  "$@"
}

if [ ! -e "$data/dataset/splits/demo.csv" ]; then
  rm -rf "$data/raw"
  step "$bin/logodex-fixtures" tree --out "$data/raw" --brands 300 --images-per-brand 12 --seed 42 --quirks --defects
  step "$bin/logodex-data" build --raw "$data/raw" --out "$data/dataset" --config pipeline/configs/demo.toml
  step "$bin/logodex-data" check "$data/dataset"
  step "$bin/logodex-data" split --dataset "$data/dataset" --name demo --seed 42 --test 0.2 --val 0.1
fi
