#!/bin/sh
# Runs groups of tor's own tests on two builds of its test program, and compares how many passed.
#
# usage: tests.sh STOCK_FOLDER CIRCFLOW_FOLDER GROUP...
set -eu

stock=$1
circflow=$2
shift 2

# A build with circflow that does not use it would pass everything.
nm "$circflow/src/test/test" | grep -q circflow_circuit_receive || { echo "tor-tests: FAILED: no circflow in it"; exit 1; }
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
[ "$failed" = 0 ] || { echo "tor-tests: FAILED"; exit 1; }
echo "tor-tests: OK"
