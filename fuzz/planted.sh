#!/bin/sh
# planted.sh PROGRAM OUT MAKE: the fuzzer finds a crash that was put there, prints the line that replays it, and that
# line crashes again.
set -eu
program=$1 out=$2/planted make=$3
rm -rf "$out"
mkdir -p "$out"
if fuzz/run.sh "$program" planted "$out" --check >"$out/said" 2>&1; then
    echo "check-fuzz: FAILED: the planted crash was not found"
    exit 1
fi
line=$(sed -n 's/.*\(make fuzz-replay TARGET=planted INPUT=.*\)/\1/p' "$out/said")
input=${line##*INPUT=}
if [ -z "$line" ] || [ ! -s "$input" ]; then
    cat "$out/said"
    echo "check-fuzz: FAILED: no line that replays the planted crash"
    exit 1
fi
if $make --no-print-directory ${line#make } >"$out/replayed" 2>&1 || ! grep -q 'a panic on purpose' "$out/replayed"; then
    cat "$out/replayed"
    echo "check-fuzz: FAILED: the planted crash does not come again: $line"
    exit 1
fi
