#!/usr/bin/env bash
# Unpacks the CPU slice of the torch 2.11.0 wheel (499 MB) into third_party/libtorch, without installing anything.
# Wheels are kept in ${LOGODEX_CACHE:-~/.cache/logodex}/wheels, so that a second clone needs no second download.
# Every wheel's SHA-256 is checked each time it is used; a stamp makes the call free once the folder stands.
set -euo pipefail

torch=2.11.0 cudart=13.0.96 cupti=13.0.85
sums='0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756  torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl
7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548  nvidia_cuda_runtime-13.0.96-*.whl
4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8  nvidia_cuda_cupti-13.0.85-*.whl'

root=$(cd "$(dirname "$0")/.." && pwd)
dst=$root/third_party/libtorch
stamp="torch=$torch cudart=$cudart cupti=$cupti layout=1"
[ "$(cat "$dst/.stamp" 2>/dev/null || true)" = "$stamp" ] && exit 0

[ "$(uname -sm)" = "Linux x86_64" ] || { echo "fetch_libtorch: only Linux x86-64 is supported; set LIBTORCH to a libtorch $torch of your own" >&2; exit 1; }
cache=${LOGODEX_CACHE:-$HOME/.cache/logodex}/wheels
mkdir -p "$cache" "$root/third_party"

verify() { # every wheel is present with its recorded SHA-256
  while read -r sum pattern; do
    # shellcheck disable=SC2086
    set -- "$cache"/$pattern
    [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$sum" ] || { echo "$pattern"; return 1; }
  done <<<"$sums"
}

if ! verify >/dev/null; then
  echo "fetching libtorch $torch (543 MB, once) into $cache" >&2
  pip_download() {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$cache" "$@"
  }
  pip_download --python-version 3.12 --implementation cp --platform manylinux_2_28_x86_64 "torch==$torch"
  pip_download "nvidia-cuda-runtime==$cudart" "nvidia-cuda-cupti==$cupti"
  bad=$(verify) || { echo "fetch_libtorch: $cache/$bad is missing or its SHA-256 is not the recorded one; delete it and try again" >&2; exit 1; }
fi

tmp=$(mktemp -d "$root/third_party/.libtorch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
python3 - "$cache" "$tmp" "$torch" "$cudart" "$cupti" <<'PY'
import pathlib, shutil, sys, zipfile
cache, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
torch, cudart, cupti = sys.argv[3:]
keep = {"libc10.so", "libtorch_cpu.so", "libtorch.so", "libgomp.so.1"}

def put(archive, name, relative):
    path = out / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, open(path, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)

for pattern in (f"torch-{torch}-cp312-*", f"nvidia_cuda_runtime-{cudart}-*", f"nvidia_cuda_cupti-{cupti}-*"):
    (wheel,) = cache.glob(pattern + ".whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith("/"):
                continue
            base = name.split("/")[-1]
            if name.startswith("torch/include/") or (name.startswith("torch/lib/") and base in keep):
                put(archive, name, name.removeprefix("torch/"))
            elif base in ("libcudart.so.13", "libcupti.so.13"):
                put(archive, name, "lib/" + base)
            elif "dist-info" in name and "LICENSE" in name:
                put(archive, name, "licenses/" + name)
PY
echo "$torch" > "$tmp/build-version"
echo "$stamp" > "$tmp/.stamp"
chmod 755 "$tmp"
rm -rf "$dst"
mv "$tmp" "$dst"
trap - EXIT
echo "libtorch $torch is in third_party/libtorch" >&2
