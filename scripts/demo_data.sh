#!/usr/bin/env bash
# The demo's dataset with its split: demo_data.sh BIN DATA real|generated. What is there already is kept.
#   real: pictures of real brand marks, and in DATA/held_out the test brands once more, on other products in other light;
#   generated: pictures of invented marks, which need no download.
set -euo pipefail
bin=$1 data=$2 marks=$3

step() {
  printf '$ %s\n' "$*" >&2
  "$@"
}

[ "$(cat "$data/marks.txt" 2>/dev/null)" = "$marks" ] || rm -rf "$data"
mkdir -p "$data"
echo "$marks" >"$data/marks.txt"

if [ ! -e "$data/dataset/splits/demo.csv" ]; then
  rm -rf "$data/raw" "$data/dataset"
  case $marks in
    real)
      packages=$(scripts/fetch_real_logos.sh)
      step "$bin/logodex-fixtures" marks --packages "$packages" --out "$data/marks"
      step "$bin/logodex-fixtures" tree --out "$data/raw" --marks "$data/marks" --brands 340 --images-per-brand 10 --seed 42 --quirks --defects
      config=pipeline/configs/demo.toml share=0.35 ;;
    *)
      step "$bin/logodex-fixtures" tree --out "$data/raw" --brands 300 --images-per-brand 12 --seed 42 --quirks --defects
      config=pipeline/configs/demo_generated.toml share=0.2 ;;
  esac
  step "$bin/logodex-data" build --raw "$data/raw" --out "$data/dataset" --config "$config"
  step "$bin/logodex-data" check "$data/dataset"
  step "$bin/logodex-data" split --dataset "$data/dataset" --name demo --seed 42 --test "$share" --val 0.1
fi

if [ "$marks" = real ] && [ ! -e "$data/held_out/dataset/splits/demo.csv" ]; then
  rm -rf "$data/held_out"
  mkdir -p "$data/held_out"
  python3 - "$data/dataset/splits/demo.csv" >"$data/held_out/brands.txt" <<'PY'
import csv, sys
with open(sys.argv[1], newline="", encoding="utf-8") as rows:
    print(*(row["brand"] for row in csv.DictReader(rows) if row["fold"] == "test"), sep="\n")
PY
  step "$bin/logodex-fixtures" tree --out "$data/held_out/raw" --marks "$data/marks" --brands 340 --images-per-brand 7 --seed 42 \
    --quirks --style held-out --only "$data/held_out/brands.txt"
  step "$bin/logodex-data" build --raw "$data/held_out/raw" --out "$data/held_out/dataset" --config pipeline/configs/demo.toml
  step "$bin/logodex-data" split --dataset "$data/held_out/dataset" --name demo --seed 42 --test 1 --val 0
fi
