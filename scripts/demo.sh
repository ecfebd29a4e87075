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
printf '\n%d s in all. Look at %s\n' $((SECONDS - began)) "$runs/report.html" >&2
