#!/usr/bin/env bash
# Checks or times logodex-train on this machine's GPU:
#
#     run.sh check|bench|all [OPTIONS]     options of `logodex-train selfcheck` or `bench`, as --help lists them
#
# Needs a Python with torch 2.11.0 (PYTHON, default python3) or, without Python, a complete libtorch 2.11.0 in LIBTORCH.
# The device is `cuda` unless --device says otherwise. Results go to RESULTS (default: results, in the working directory).
set -euo pipefail

kit=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${RESULTS:-results}
wanted=2.11.0
fail() { echo "run.sh: $1" >&2; exit 1; }

what=${1:-}
case $what in check | bench | all) shift ;; *) fail "say what: run.sh check|bench|all [OPTIONS]" ;; esac

python=()
if [ -n "${LIBTORCH:-}" ]; then
  lib=$LIBTORCH/lib
  version=$(cat "$LIBTORCH/build-version" 2>/dev/null || cat "$LIBTORCH/version.py" 2>/dev/null || true)
  [ -z "${PYTHON:-}" ] || python=(--python "$PYTHON")
  version=$(grep -oE '[0-9]+\.[0-9]+\.[0-9]+' <<<"$version" | head -1) || fail "$LIBTORCH: neither build-version nor version.py tells its version"
else
  py=${PYTHON:-python3}
  found=$("$py" -c 'import os, torch
assert torch.compiled_with_cxx11_abi(), "torch was built with the old C++ ABI"
print(torch.__version__.split("+")[0], os.path.join(os.path.dirname(torch.__file__), "lib"))') ||
    fail "$py cannot import a usable torch; set PYTHON to one that has torch $wanted, or LIBTORCH to a libtorch $wanted"
  version=${found%% *} lib=${found#* } python=(--python "$(command -v "$py")")
fi
[ "$version" = "$wanted" ] || fail "found torch $version in $lib, but the program is built for $wanted: pip install torch==$wanted"
export LD_LIBRARY_PATH=$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

train=$kit/bin/logodex-train
"$train" --version >/dev/null ||
  fail "the program does not start here. It was built with $(cat "$kit/built-with.txt"); this machine has $(getconf GNU_LIBC_VERSION)"
echo "torch $version in $lib" >&2
nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used --format=csv,noheader >&2 2>/dev/null || echo "no nvidia-smi here" >&2

options=("$@")
case " $* " in *" --device"*) ;; *) options+=(--device cuda) ;; esac
check() { "$train" selfcheck --dataset "$kit/data/check" --split check --out "$results" "${options[@]}"; }
bench() { "$train" bench --dataset "$kit/data/bench" --split bench "${python[@]}" --out "$results" "${options[@]}"; }

case $what in
check) check ;;
bench) bench ;;
all) # the options must be those that both know; a check that fails is no reason not to measure
  status=0
  check || status=$?
  bench
  exit "$status"
  ;;
esac
