#!/usr/bin/env bash
# The whole line on generated data: demo.sh BIN DATA RUNS. Starts afresh each time; prints each command it runs.
set -euo pipefail
bin=$1 data=$2 runs=$3
configs=trainer/configs/demo
trained="norm_softmax contrastive triplet multi_similarity"
baselines="baseline_untrained baseline_features baseline_projection"

began=$SECONDS
step() {
  local since=$SECONDS
  printf '\n\033[1m$ %s\033[0m\n' "$*" >&2
  "$@"
  printf '  %d s\n' $((SECONDS - since)) >&2
}

rm -rf "$data" "$runs"
step scripts/demo_data.sh "$bin" "$data"
step "$bin/logodex-data" stats "$data/dataset" --out "$runs/dataset"
for model in $trained $baselines; do
  step "$bin/logodex-train" fit --dataset "$data/dataset" --split demo --config "$configs/$model.toml" --run "$runs/$model"
done
for model in $trained $baselines; do
  step "$bin/logodex-train" evaluate --dataset "$data/dataset" --split demo --run "$runs/$model" --out "$runs/$model" >/dev/null
done
reports=()
for model in $trained $baselines; do reports+=("$runs/$model"); done
step "$bin/logodex-train" report --out "$runs" "$runs/dataset" "${reports[@]}"

# The next day: the best of them, in a file, names brands that it never saw from five pictures each, and five strangers not.
best=$(for model in $trained; do
  awk -F, -v m="$model" '$2 == "retrieval" && $4 == "map_at_r" && $8 == "object" && $9 == "all" {print $5, m}' "$runs/$model/evaluation.csv"
done | sort -gr | head -n 1 | cut -d' ' -f2)
step "$bin/logodex-train" export --run "$runs/$best" --out "$runs/model.onnx"
step "$bin/logodex-data" export "$data/dataset" --to coco --split demo --raw "$data/raw" --link hard --out "$data/pictures" >/dev/null
step python3 scripts/demo_recognise.py "$data/pictures/annotations/instances_test.json" "$data"
step "$bin/logodex" enrol --gallery "$runs/gallery" --model "$runs/model.onnx" --list "$data/enrol.csv"
step "$bin/logodex" identify --gallery "$runs/gallery" --list "$data/ask.csv" --show "$runs/identified.html"
printf '\n%d s in all. Look at %s\n' $((SECONDS - began)) "$runs/report.html" >&2
