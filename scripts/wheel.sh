#!/usr/bin/env bash
# Builds the Python package's wheel: wheel.sh OUT. Prints its path; one that is larger than 15 MB is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1 maturin=1.9.6 tools=target/maturin most=15

[ "$("$tools/bin/maturin" --version 2>/dev/null || true)" = "maturin $maturin" ] || {
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check "maturin==$maturin"
}
rm -f "$out"/logodex-*.whl
"$tools/bin/maturin" build --quiet --release --locked --manifest-path python/Cargo.toml --out "$out" >&2
wheel=$(ls "$out"/logodex-*.whl)
size=$(stat -c %s "$wheel")
[ "$size" -le $((most * 1000000)) ] || { echo "$wheel has $size bytes, and $most MB is the most" >&2; exit 1; }
echo "$wheel"
