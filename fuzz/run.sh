#!/bin/sh
# run.sh PROGRAM TARGET OUT OPTIONS..: fuzzes one target, from the corpus of the repository. A crash prints the line that
# replays it. With --check, a number of runs that takes some seconds: counted, and from a seed that is given, so that
# every machine does the same.
set -eu
program=$1 target=$2 out=$3
shift 3
case $target in
    abi) longest=4096 runs=1500 ;;
    machines) longest=4096 runs=3000 ;;
    wire) longest=600 runs=100000 ;;
    peer) longest=1024 runs=60 ;;
    *) longest=16 runs=500000 ;;
esac
check=
options=
for option in "$@"; do
    if [ "$option" = --check ]; then check=1; else options="$options $option"; fi
done
mkdir -p "$out/new"
corpus=
if [ -f "fuzz/corpus/$target.txt" ]; then
    corpus=$out/corpus
    fuzz/unpack.sh "$target" "$corpus"
fi
if [ -n "$check" ]; then
    # The runs of the corpus count, too.
    [ -z "$corpus" ] || runs=$((runs + $(ls "$corpus" | wc -l)))
    options="$options -seed=1 -runs=$runs"
    rm -rf "$out/new"
    mkdir "$out/new"
fi
# shellcheck disable=SC2086
if ! "$program" -artifact_prefix="$out/" -max_len=$longest -print_final_stats=1 $options "$out/new" $corpus \
    >"$out/log" 2>&1; then
    tail -n 60 "$out/log"
    input=$(sed -n 's/.*Test unit written to //p' "$out/log" | tail -n 1)
    echo "fuzz: FAILED: $target: make fuzz-replay TARGET=$target INPUT=$input"
    echo "fuzz: or, from any checkout: make fuzz-replay TARGET=$target BASE64=$(base64 -w 0 "$input")"
    exit 1
fi
echo "fuzz: $target: $(sed -n 's/stat::number_of_executed_units: *//p' "$out/log") runs," \
    "$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$out/log" | tail -n 1) places reached"
