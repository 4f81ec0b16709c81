#!/bin/sh
# merge.sh PROGRAM TARGET OUT: keeps in the corpus as few inputs as reach all that was reached, and none above 2 KiB.
set -eu
program=$1 target=$2 out=$3
fuzz/unpack.sh "$target" "$out/corpus"
rm -rf "$out/merged"
mkdir -p "$out/merged" "$out/new"
find "$out/new" -type f -size +2k -delete
"$program" -set_cover_merge=1 "$out/merged" "$out/corpus" "$out/new" >"$out/log" 2>&1 || { tail "$out/log"; exit 1; }
for input in "$out/merged"/*; do
    base64 -w 0 "$input"
    echo
done | sort >"fuzz/corpus/$target.txt"
echo "fuzz: $target: $(wc -l <"fuzz/corpus/$target.txt") inputs, $(wc -c <"fuzz/corpus/$target.txt") bytes of text"
