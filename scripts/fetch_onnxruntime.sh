#!/usr/bin/env bash
# Unpacks the library of the onnxruntime 1.31.1 wheel (29 MB) into third_party/onnxruntime, without installing anything.
# The wheel is kept in ${LOGODEX_CACHE:-~/.cache/logodex}/wheels, so that a second clone needs no second download.
# Its SHA-256 is checked each time it is used; a stamp makes the call free once the folder stands.
set -euo pipefail

version=1.31.1
sum=5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f

root=$(cd "$(dirname "$0")/.." && pwd)
dst=$root/third_party/onnxruntime
stamp="onnxruntime=$version layout=1"
[ "$(cat "$dst/.stamp" 2>/dev/null || true)" = "$stamp" ] && exit 0

[ "$(uname -sm)" = "Linux x86_64" ] || { echo "fetch_onnxruntime: only Linux x86-64 is supported; set ORT_DYLIB_PATH to a libonnxruntime of your own" >&2; exit 1; }
cache=${LOGODEX_CACHE:-$HOME/.cache/logodex}/wheels
mkdir -p "$cache" "$root/third_party"

wheel() { # the wheel, if it is there with its recorded SHA-256
  local path
  path=$(ls "$cache"/onnxruntime-$version-cp311-*.whl 2>/dev/null | head -n 1)
  [ -n "$path" ] && [ "$(sha256sum "$path" | cut -d' ' -f1)" = "$sum" ] && echo "$path"
}

if ! wheel >/dev/null; then
  echo "fetching onnxruntime $version (24 MB, once) into $cache" >&2
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$cache" \
    --python-version 3.11 --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 "onnxruntime==$version"
fi
path=$(wheel) || { echo "fetch_onnxruntime: $cache/onnxruntime-$version-cp311-*.whl is missing or its SHA-256 is not the recorded one; delete it and try again" >&2; exit 1; }

tmp=$(mktemp -d "$root/third_party/.onnxruntime.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
python3 - "$path" "$tmp" <<'PY'
import pathlib, sys, zipfile
out = pathlib.Path(sys.argv[2])
(out / "lib").mkdir()
with zipfile.ZipFile(sys.argv[1]) as archive:
    for name in archive.namelist():
        base = name.split("/")[-1]
        if base.startswith("libonnxruntime.so."):
            (out / "lib/libonnxruntime.so").write_bytes(archive.read(name))
        elif base in ("LICENSE", "ThirdPartyNotices.txt"):
            (out / base).write_bytes(archive.read(name))
if not (out / "lib/libonnxruntime.so").exists():
    sys.exit("fetch_onnxruntime: the wheel holds no libonnxruntime.so")
PY
echo "$stamp" > "$tmp/.stamp"
chmod 755 "$tmp"
rm -rf "$dst"
mv "$tmp" "$dst"
trap - EXIT
echo "onnxruntime $version is in third_party/onnxruntime" >&2
