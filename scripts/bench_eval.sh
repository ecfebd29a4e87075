#!/usr/bin/env bash
# Exact retrieval beside its peers, one after another on the same embeddings: bench_eval.sh OUT [PYTHON] [THREADS]
# The size of the goal first (60,000 x 128), then one that the peers can do. A JSON line per tool in OUT/bench.jsonl.
set -euo pipefail
out=$1 python=${2:-python3} threads=${3:-2}
mkdir -p "$out"
out=$(cd "$out" && pwd) # cargo runs a benchmark in the folder of its crate
bench() { cargo bench --quiet --locked -p logodex-evaluation --bench retrieval -- "$@"; }
{
  bench 60000 128 "$threads"
  bench 20000 128 "$threads" "$out/20k.safetensors"
  "$python" scripts/bench_retrieval.py "$out/20k.safetensors" "$threads"
} | tee "$out/bench.jsonl"
