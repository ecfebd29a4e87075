#!/usr/bin/env bash
# The whole line on pictures of real brand marks, or of generated ones: demo.sh BIN DATA RUNS real|generated. Starts afresh
# each time; prints each command it runs. Where the real marks or the pretrained weights cannot be had, it says so and goes on
# with generated marks and a network that starts from noise.
set -euo pipefail
bin=$1 data=$2 runs=$3 marks=$4

began=$SECONDS
step() {
  local since=$SECONDS
  printf '\n\033[1m$ %s\033[0m\n' "$*" >&2
  "$@"
  printf '  %d s\n' $((SECONDS - since)) >&2
}

case $marks in
  real)
    scripts/fetch_real_logos.sh >/dev/null && scripts/fetch_weights.sh efficientnet_lite0 || {
      printf '\nReal brand marks or pretrained weights cannot be fetched: going on with generated marks (MARKS=generated).\n' >&2
      marks=generated
    } ;;
  generated) ;;
  *) echo "demo.sh: MARKS is real or generated, not $marks" >&2; exit 2 ;;
esac
case $marks in
  real) configs=trainer/configs/demo trained="multi_similarity contrastive triplet" ;;
  generated) configs=trainer/configs/demo_generated trained="norm_softmax contrastive triplet multi_similarity" ;;
esac
baselines="baseline_untrained baseline_features baseline_projection"

rm -rf "$data" "$runs"
step scripts/demo_data.sh "$bin" "$data" "$marks"
step "$bin/logodex-data" stats "$data/dataset" --out "$runs/dataset"
for model in $trained $baselines; do
  step "$bin/logodex-train" fit --dataset "$data/dataset" --split demo --config "$configs/$model.toml" --run "$runs/$model"
done
rm -rf "$runs/features"
reports=()
for model in $trained $baselines; do
  step "$bin/logodex-train" evaluate --dataset "$data/dataset" --split demo --run "$runs/$model" --out "$runs/$model" >/dev/null
  reports+=("$runs/$model")
done
step "$bin/logodex-train" report --out "$runs" "$runs/dataset" "${reports[@]}"

best=$(for model in $trained; do
  awk -F, -v m="$model" '$2 == "retrieval" && $4 == "map_at_r" && $8 == "object" && $9 == "all" {print $5, m}' "$runs/$model/evaluation.csv"
done | sort -gr | head -n 1 | cut -d' ' -f2)

# The same brands on other products in other light, so that not one renderer makes both training and test.
if [ "$marks" = real ]; then
  reports=()
  for model in "$best" baseline_features; do
    step "$bin/logodex-train" evaluate --dataset "$data/held_out/dataset" --split demo --run "$runs/$model" --out "$runs/held_out/$model" >/dev/null
    reports+=("$runs/held_out/$model")
  done
  step "$bin/logodex-train" report --out "$runs/held_out" "${reports[@]}"
fi

# The next day: the best of them, in a file, names brands that it never saw from five pictures each, and five strangers not.
step "$bin/logodex-train" export --run "$runs/$best" --out "$runs/model.onnx"
step "$bin/logodex-data" export "$data/dataset" --to coco --split demo --raw "$data/raw" --link hard --out "$data/pictures" >/dev/null
step python3 scripts/demo_recognise.py "$data/pictures/annotations/instances_test.json" "$data/raw/truth.json" "$data"
step "$bin/logodex" enrol --gallery "$runs/gallery" --model "$runs/model.onnx" --list "$data/enrol.csv"
step "$bin/logodex" identify --gallery "$runs/gallery" --list "$data/ask.csv" --far 0.1 --show "$runs/identified.html"
printf '\n%d s in all. Look at %s\n' $((SECONDS - began)) "$runs/report.html" >&2
