#!/bin/sh
# Runs tor's tests of conflux and of padding, and those of the seam, with circflow and under memcheck.
#
# What counts is a report, an error or a leak, that has a function of the adapter or of circflow anywhere in one of its
# stacks. Others are counted and shown, but are tor's or its tests' (on stock tor 0.4.9.11 these groups have none).
# The tests fork, which valgrind follows: a log for each test, with its own leaks.
#
# usage: valgrind.sh FOLDER_OF_BUILDS
set -eu

builds=$1
unset CIRCFLOW_ALGORITHM
here=$(cd "$(dirname "$0")" && pwd)
out=$builds/valgrind
rm -rf "$out"
mkdir -p "$out"
failed=0

# Starting the test program takes most of the time, so that a build has one run for all its tests.
run() { # NAME BUILD GROUP...
    name=$1
    folder=$builds/$2
    shift 2
    mkdir "$out/$name"
    # A build with circflow that does not use it would pass.
    nm "$folder/src/test/test" | grep -q circflow_circuit_receive ||
        { echo "no circflow in $folder" >"$out/$name.log"; return; }
    (cd "$folder" && timeout 900 valgrind --leak-check=full --num-callers=40 --fullpath-after= \
        --log-file="$out/$name/%p.log" ./src/test/test "$@") >"$out/$name.log" 2>&1 || true
}

# Ours, with a short history, and tor's own.
(export CIRCFLOW_TOR_HISTORY=20000
    run seam seam-circflow conflux/..) &
seam=$!
machines=$here/../../examples/machines/front
(export CIRCFLOW_TOR_PADDING_CLIENT="$machines-client.txt" CIRCFLOW_TOR_PADDING_RELAY="$machines-exit.txt"
    run tor circflow conflux/.. circuitpadding/..) &
tor=$!
wait "$seam" "$tor"

# A frame of ours: "by 0x4A5B6C: conflux_launch_leg (/path/src/core/or/conflux_pool.c:120)", "by 0x...: circflow_...".
# The folder above distinguishes from src/trunnel/conflux.c; most names of paths have "circflow" in them.
files=$(cd "$here/adapter" && printf '%s|' *.[ch] | sed 's/[.]/[.]/g; s/|$//')
ours="^ *(at|by) 0x[0-9A-F]+: ([^(]*circflow|.*/src/core/or/($files):[0-9]+[)])"

printf '%-24s %8s %10s %14s\n' "under memcheck" tests reports "with circflow"
for name in seam tor; do
    last=$(tail -n 1 "$out/$name.log")
    tests=$(echo "$last" | sed -nE 's/^([0-9]+) tests ok\..*\(0 skipped\)$/\1/p')
    # A report is what stands between two empty lines and has a stack.
    cat "$out/$name"/*.log 2>/dev/null | sed -E 's/^==[0-9]+== ?//' | awk -v ours="$ours" -v RS= '
        /(^|\n) *at 0x/ { reports++; if (match_ours()) { own++; print > "/dev/stderr"; print "" > "/dev/stderr" } }
        function match_ours(   n, i, lines) {
            n = split($0, lines, "\n")
            for (i = 1; i <= n; i++) if (lines[i] ~ ours) return 1
            return 0
        }
        END { print reports + 0, own + 0 }' >"$out/$name.counts" 2>"$out/$name.ours"
    read -r reports own <"$out/$name.counts"
    printf '%-24s %8s %10s %14s\n' "$name" "${tests:-failed}" "$reports" "$own"
    # Each test and the program itself must have been looked at to the end.
    logs=$(grep -l 'ERROR SUMMARY' "$out/$name"/*.log 2>/dev/null | wc -l)
    if [ -z "$tests" ] || [ "$logs" -le "$tests" ]; then
        echo "the tests failed or were not all looked at ($logs logs): $out/$name.log: $last"
        failed=1
    fi
    [ "$own" = 0 ] || { failed=1; head -n 60 "$out/$name.ours"; }
done

[ "$failed" = 0 ] || { echo "tor-valgrind: FAILED, see $out"; exit 1; }
echo "tor-valgrind: OK"
