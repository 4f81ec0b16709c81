#!/bin/sh
# Runs the benches of the backpressure queue and prints one table. FORMAT: text (default), md, or smoke (each workload
# once, for its checks only).
#
# Instructions: each workload runs under callgrind with N and with 3 N items, and so does the same loop with nothing to
# carry them; the difference of the differences, over 2 N, is what an item costs. Nanoseconds: the median of nine runs,
# less that of nine empty ones. Allocations: those of a steady state, counted by the program itself.
set -eu

program=$1/bench-queue
format=${FORMAT:-text}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

# instructions of: WORKLOAD ITEMS
total() {
    valgrind --tool=callgrind --callgrind-out-file="$tmp/out" "$program" "$@" >/dev/null 2>"$tmp/err" ||
        { cat "$tmp/err" >&2; exit 1; }
    awk '/^totals:/ { print $2 }' "$tmp/out"
}

median() { # WORKLOAD: sets ns and allocations
    for _ in 1 2 3 4 5 6 7 8 9; do "$program" "$1" 200000; done | sort -n >"$tmp/runs"
    ns=$(sed -n '5s/ .*//p' "$tmp/runs") allocations=$(sed -n '5s/.* //p' "$tmp/runs")
}

# measure KIND WORKLOAD: sets instructions, ns, allocations
measure() {
    if [ "$format" = smoke ]; then "$program" "$1-$2" 3000 >/dev/null; return; fi
    n=10000
    more=$(($(total "$1-$2" $((n * 3))) - $(total "$1-$2" $n)))
    empty=$(($(total "$1-empty" $((n * 3))) - $(total "$1-empty" $n)))
    instructions=$(awk -v i=$((more - empty)) -v n=$((n * 2)) 'BEGIN { printf "%.0f", i / n }')
    median "$1-empty"; idle=$ns
    median "$1-$2"
    ns=$(awk -v r="$ns" -v e="$idle" 'BEGIN { n = r - e; printf n < 1 ? "<1" : "%.0f", n }')
    allocations=$(awk -v a="$allocations" 'BEGIN { printf a == 0 ? "0" : "%.4f", a }')
}

line() {
    if [ "$format" = smoke ]; then
        return
    elif [ "$format" = md ]; then
        echo "| $1 | $2 | $3 | $4 | $5 |"
    else
        printf '%-58s %12s %6s %12s  %s\n' "$@"
    fi
}

row() { # TITLE PEER
    line "$1" "$instructions" "$ns" "$allocations" "$2"
}

line "queue, for each item" instructions ns allocations "peer in the same run"
if [ "$format" = md ]; then echo "|---|--:|--:|--:|---|"; fi
instructions='' ns='' allocations=''
for kind in cell token; do
    case $kind in cell) what="514 bytes" ;; token) what="a token" ;; esac
    measure $kind deque-steady; peer="VecDeque $instructions, $ns ns"
    measure $kind c-steady; row "from C, $what, goes through" "$peer"
    measure $kind c-spill; row "from C, $what, by way of the backlog" "$peer"
    measure $kind c-trickle; row "from C, $what, waits in the backlog alone" "$peer"
    measure $kind channel-steady; peer="crossbeam $instructions, $ns ns"
    measure $kind link-steady; row "between event loops, $what, goes through" "$peer"
    measure $kind link-spill; row "between event loops, $what, by way of the backlog" "$peer"
done
if [ "$format" = smoke ]; then exit 0; fi
echo
echo "From C: the channel is a function with room for one item, which copies bytes as a socket would. 514 bytes are moved" \
    "or copied at some 76 instructions each time."
