#!/bin/sh
# unpack.sh TARGET FOLDER: the corpus of a target, one input a line in base64, as files that are named by their lines.
set -eu
rm -rf "$2"
mkdir -p "$2"
line=0
while read -r input; do
    line=$((line + 1))
    printf '%s' "$input" | base64 -d >"$2/$line"
done <"fuzz/corpus/$1.txt"
