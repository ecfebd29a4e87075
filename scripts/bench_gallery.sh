#!/usr/bin/env bash
# Exact search beside faiss and usearch, one after another on the same vectors, twice: bench_gallery.sh OUT [THREADS] [LARGE]
# LARGE vectors of 16 bits, 0 for none, are searched from a mapped file (256 bytes each); with POSTGRES, the URL of a database that holds no
# gallery yet, the vectors are searched there, too. A JSON line each in OUT/bench.jsonl.
set -euo pipefail
out=$1 threads=${2:-2} large=${3:-10000000} python=target/bench-gallery-python
requirements=recognizer/benches/requirements.txt

mkdir -p "$out"
out=$(cd "$out" && pwd) # cargo runs a benchmark in the folder of its crate
if ! cmp -s "$requirements" "$python/installed.txt"; then
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$python/installed.txt"
fi
bench() { cargo bench --quiet --locked -p logodex-recognizer --bench search -- "$@"; }
bench make 100000 128 "$out"
{
  for _ in 1 2; do
    bench time 100000 128 "$out" "$threads" 20
    "$python/bin/python" scripts/bench_gallery.py "$out" "$threads" 20
  done
  [ -z "${POSTGRES:-}" ] || bench postgres 100000 128 "$out" "$POSTGRES"
  [ "$large" = 0 ] || bench large "$large" 128 "$out" "$threads"
} | tee "$out/bench.jsonl"
rm -f "$out/large.f16"
