#!/usr/bin/env bash
# How much of what is learnt on one kind of marks serves the other: transfer.sh BIN REAL GENERATED OUT. The same network and
# recipe (trainer/configs/demo/multi_similarity.toml) is trained on the real marks of REAL and on the generated ones of
# GENERATED, both at its side, and each is judged on the test brands of both, beside ImageNet's features.
set -euo pipefail
bin=$1 real=$2 generated=$3 out=$4
configs=trainer/configs/demo

step() {
  printf '$ %s\n' "$*" >&2
  "$@"
}

scripts/demo_data.sh "$bin" "$real" real
scripts/demo_data.sh "$bin" "$generated" generated
# The generated tree at the side of the real one.
if [ ! -e "$generated/at_real_side/splits/demo.csv" ]; then
  rm -rf "$generated/at_real_side"
  step "$bin/logodex-data" build --raw "$generated/raw" --out "$generated/at_real_side" --config pipeline/configs/demo.toml
  step "$bin/logodex-data" split --dataset "$generated/at_real_side" --name demo --seed 42 --test 0.2 --val 0.1
fi
declare -A data=([real]=$real/dataset [generated]=$generated/at_real_side)
for from in real generated; do
  step "$bin/logodex-train" fit --dataset "${data[$from]}" --split demo --config "$configs/multi_similarity.toml" --run "$out/from_$from" --resume-or-start
done
rm -rf runs/demo/features # what that configuration keeps for runs that would compute the same
step "$bin/logodex-train" fit --dataset "$real/dataset" --split demo --config "$configs/baseline_features.toml" --run "$out/baseline_features" --resume-or-start
for to in real generated; do
  reports=()
  for run in from_real from_generated baseline_features; do
    step "$bin/logodex-train" evaluate --dataset "${data[$to]}" --split demo --run "$out/$run" --out "$out/on_$to/$run" --region object >/dev/null
    reports+=("$out/on_$to/$run")
  done
  step "$bin/logodex-train" report --out "$out/on_$to" "${reports[@]}"
done
