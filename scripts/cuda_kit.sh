#!/usr/bin/env bash
# A folder to carry to a CUDA machine: cuda_kit.sh BIN KIT, from the programs in BIN. It holds logodex-train, the
# configurations, two small datasets and run.sh, and needs nothing there but a Python with torch 2.11.0.
# CHECK and BENCH, "brands images-per-brand side", make other datasets; LIMIT_MIB is the most that the folder may hold.
set -euo pipefail

bin=$(cd "$1" && pwd) kit=$2
root=$(cd "$(dirname "$0")/.." && pwd)
limit=${LIMIT_MIB:-60}
read -ra check <<<"${CHECK:-40 24 64}"  # some 1,200 object crops
read -ra bench <<<"${BENCH:-16 12 224}" # 192 whole images, drawn again and again

rm -rf "$kit"
mkdir -p "$kit/bin" "$kit/data"
kit=$(cd "$kit" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

strip -o "$kit/bin/logodex-train" "$bin/logodex-train"
# The linker noted where this machine's libtorch lies. Elsewhere LD_LIBRARY_PATH says it, to which a RUNPATH yields and an
# old RPATH does not: name a folder beside the program instead.
python3 - "$kit/bin/logodex-train" <<'PY'
import struct, sys

RPATH, RUNPATH, STRTAB = 15, 29, 5
path = sys.argv[1]
elf = bytearray(open(path, "rb").read())
assert elf[:6] == b"\x7fELF\x02\x01", "not a 64-bit little-endian ELF file"
(headers,) = struct.unpack_from("<Q", elf, 32)
size, count = struct.unpack_from("<HH", elf, 54)
segments = [struct.unpack_from("<IIQQQQ", elf, headers + i * size) for i in range(count)]  # type flags offset vaddr _ filesz
at = lambda vaddr: next(o + vaddr - v for t, _, o, v, _, n in segments if t == 1 and v <= vaddr < v + n)
begin, length = next((o, n) for t, _, o, _, _, n in segments if t == 2)
entries = {}
for offset in range(begin, begin + length, 16):
    tag, value = struct.unpack_from("<QQ", elf, offset)
    entries.setdefault(tag, (offset, value))
for tag in RPATH, RUNPATH:
    if tag in entries:
        offset, value = entries[tag]
        start = at(entries[STRTAB][1]) + value
        old = elf.index(b"\0", start) - start
        new = b"$ORIGIN/../lib"
        assert len(new) <= old, "no room for the new path"
        elf[start : start + old] = new.ljust(old, b"\0")
        struct.pack_into("<Q", elf, offset, RUNPATH)
open(path, "wb").write(elf)
PY
{ getconf GNU_LIBC_VERSION && c++ -dumpfullversion; } | paste -sd' ' | sed 's/ \([0-9.]*\)$/, g++ \1/' >"$kit/built-with.txt"

dataset() { # name, brands, images per brand, side, region
  local name=$1 raw=$work/$1
  "$bin/logodex-fixtures" tree --out "$raw" --brands "$2" --images-per-brand "$3" --seed 11 >&2
  printf 'side = %s\nregion = "%s"\n' "$4" "$5" >"$work/$name.toml"
  "$bin/logodex-data" build --raw "$raw" --out "$kit/data/$name" --config "$work/$name.toml" >&2
  # Annotations and the catalog are not read in training; what makes a next build fast is of no use there.
  rm -rf "$kit/data/$name/annotations" "$kit/data/$name/.build"
}
dataset check "${check[@]}" object
"$bin/logodex-data" split --dataset "$kit/data/check" --name check --seed 1 --test 0.1 --val 0.2 >&2
dataset bench "${bench[@]}" image
"$bin/logodex-data" split --dataset "$kit/data/bench" --name bench --seed 1 --test 0.1 --val 0.1 >&2

cp -r "$root/trainer/configs" "$kit/configs"
cp "$root/trainer/cuda/run.sh" "$kit/run.sh"
cp "$root"/LICENSE-* "$kit"
chmod 755 "$kit/run.sh"

bytes=$(du -sb "$kit" | cut -f1)
[ "$bytes" -lt $((limit * 1048576)) ] || { echo "cuda_kit: $kit holds $bytes bytes, the limit is $limit MiB" >&2; exit 1; }
echo "$kit: $((bytes / 1048576)) MiB; on a CUDA machine: run.sh check, run.sh bench"
