#!/bin/sh
# Runs groups of tor's own tests on two builds of its test program, and compares how many passed; then seam_tests.c
# and seam_pool_tests.c, which are in two builds of their own: one history in which both must decide alike, and what is
# circflow's own.
#
# usage: tests.sh FOLDER_OF_BUILDS GROUP...
set -eu

builds=$1
stock=$builds/stock
circflow=$builds/circflow
shift
# Tests of ours set it by themselves; the others are about the default.
unset CIRCFLOW_ALGORITHM
# Events for each algorithm.
export CIRCFLOW_TOR_HISTORY=200000

# A build with circflow that does not use it would pass everything.
nm "$circflow/src/test/test" | grep -q circflow_circuit_receive ||
    { echo "tor-tests: FAILED: no circflow in it"; exit 1; }
! nm "$stock/src/test/test" | grep -q circflow_ || { echo "tor-tests: FAILED: circflow in the stock build"; exit 1; }

# Prints "passed/run" of a group, and what went wrong.
run() {
    log=$1/tests-$(echo "$2" | tr -d './').log
    (cd "$1" && timeout 600 ./src/test/test "$2") >"$log" 2>&1 || true
    # The last line is "12 tests ok.  (0 skipped)" or "1/12 TESTS FAILED. (0 skipped)".
    tail -n 1 "$log" | sed -nE 's|^([0-9]+) tests ok\..*\(0 skipped\)$|\1/\1|p;
        s|^([0-9]+)/([0-9]+) TESTS FAILED.*|failed-\1/\2|p' | grep . || echo "broken, see $log"
}

failed=0
printf '%-24s %10s %14s\n' "tests of tor's own" stock "with circflow"
for group in "$@"; do
    a=$(run "$stock" "$group")
    b=$(run "$circflow" "$group")
    printf '%-24s %10s %14s\n' "$group" "$a" "$b"
    [ "$a" = "$b" ] || failed=1
    case $a$b in 0* | *[a-z]*) failed=1 ;; esac
done

# Tor's own padding again, with padders of circflow's beside its machines.
machines=$(cd "$(dirname "$0")/../../examples/machines" && pwd)/front
beside=$(export CIRCFLOW_TOR_PADDING_CLIENT="$machines-client.txt" CIRCFLOW_TOR_PADDING_RELAY="$machines-exit.txt"
    run "$circflow" circuitpadding/..)
printf '%-24s %10s %14s\n' "and circflow's padders" "" "$beside"
case $beside in 0* | *[a-z]*) failed=1 ;; esac

# Tor's own tests of sets again, where legs are chosen by other algorithms than the default.
for algorithm in lowrtt ontime ecf blest otias random; do
    ours=$(export CIRCFLOW_ALGORITHM=$algorithm; run "$circflow" conflux/..)
    printf '%-24s %10s %14s\n' "conflux by $algorithm" "" "$ours"
    case $ours in 0* | *[a-z]*) failed=1 ;; esac
done

# The history is printed; what tor logs is not.
history() {
    "$builds/seam-$1/src/test/test" --no-fork --quiet conflux/cell/same >"$builds/seam-$1/history" 2>/dev/null
}
if history stock && history circflow && cmp -s "$builds/seam-stock/history" "$builds/seam-circflow/history" &&
    [ "$(wc -l <"$builds/seam-stock/history")" -gt 100000 ]; then
    printf '%-24s %10s %14s\n' "one history, lines" "$(wc -l <"$builds/seam-stock/history")" same
else
    echo "the two builds do not decide alike: diff $builds/seam-*/history"
    failed=1
fi
for group in conflux/cell/.. conflux/pool/..; do
    own=$(run "$builds/seam-circflow" "$group")
    printf '%-24s %10s %14s\n' "seam: $group" "" "$own"
    case $own in 0* | *[a-z]*) failed=1 ;; esac
done

[ "$failed" = 0 ] || { echo "tor-tests: FAILED"; exit 1; }
echo "tor-tests: OK"
