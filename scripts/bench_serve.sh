#!/usr/bin/env bash
# The server beside the model that it serves: bench_serve.sh MODEL OUT [REQUESTS]. A JSON line per row in OUT/bench.jsonl.
set -euo pipefail
model=$1 out=$2 requests=${3:-200}
mkdir -p "$out"
cargo bench --quiet --locked -p logodex-recognizer --bench serve -- "$(realpath "$model")" "$requests" | tee "$out/bench.jsonl"
