#!/usr/bin/env bash
# The Python package's own tests, on its wheel, in a fresh environment: test_python.sh WHEEL [PYTHON]. Tests that take torch, timm or
# pytorch-metric-learning run where PYTHON has them, or the wheels that are kept do; else they are counted as skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
wheel=$1 python=${2:-python3} venv=target/python-package
kept=${LOGODEX_CACHE:-$HOME/.cache/logodex}/wheels

rm -rf "$venv"
"$python" -c 'import torch' 2>/dev/null && shared=--system-site-packages
"$python" -m venv ${shared:-} "$venv"
pip() { "$venv/bin/pip" "$@" --quiet --disable-pip-version-check; }
pip install "$wheel" -r python/tests/requirements.txt
if [ -z "${shared:-}" ]; then
  for package in torch timm pytorch-metric-learning; do
    pip install --no-index --find-links "$kept" "$package" 2>/dev/null || true
  done
fi
"$venv/bin/python" -m pytest -q -p no:cacheprovider python/tests
