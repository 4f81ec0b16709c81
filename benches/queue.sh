#!/bin/sh
# Runs the benches of the backpressure queue and prints one table. FORMAT: text (default), md, or smoke (each workload
# once, for its checks only).
#
# Instructions: each workload runs under callgrind with N and with 3 N items, and a peer's loop also with nothing to
# carry them; the difference (of the differences), over 2 N, is what an item costs. Nanoseconds: the median of nine runs,
# less that of nine empty ones. Allocations: those of a steady state, counted by the program itself.
set -eu

program=$1/bench-queue
format=${FORMAT:-text}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

# instructions of: WORKLOAD ITEMS. From C, those of the library's functions, without what they call in the bench's sink.
total() {
    valgrind --tool=callgrind --callgrind-out-file="$tmp/out" --compress-strings=no --compress-pos=no \
        "$program" "$@" >/dev/null 2>"$tmp/err" || { cat "$tmp/err" >&2; exit 1; }
    awk -v from_c="$(echo "$1" | grep -c -- '-c-')" '
        /^fn=/ { fn = substr($0, 4) }
        /^cfn=/ { callee = substr($0, 5) }
        /^calls=/ {
            getline
            if (callee ~ /^circflow_/ && fn !~ /^circflow/) inside += $NF
            if (callee ~ /^queue::/ && fn ~ /^circflow/) inside -= $NF
        }
        /^totals:/ { all = $2 }
        END { printf "%.0f\n", from_c ? inside : all }' "$tmp/out"
}

median() { # WORKLOAD: sets ns and allocations
    for _ in 1 2 3 4 5 6 7 8 9; do "$program" "$1" 200000; done | sort -n >"$tmp/runs"
    ns=$(sed -n '5s/ .*//p' "$tmp/runs") allocations=$(sed -n '5s/.* //p' "$tmp/runs")
}

# measure KIND WORKLOAD: sets instructions, ns, allocations
measure() {
    if [ "$format" = smoke ]; then "$program" "$1-$2" 3000 >/dev/null; return; fi
    n=12800
    case $2 in *burst) idle=burst-empty ;; *) idle=empty ;; esac
    more=$(($(total "$1-$2" $((n * 3))) - $(total "$1-$2" $n)))
    empty=0
    case $2 in c-*) ;; *) empty=$(($(total "$1-$idle" $((n * 3))) - $(total "$1-$idle" $n))) ;; esac
    instructions=$(awk -v i=$((more - empty)) -v n=$((n * 2)) 'BEGIN { printf "%.0f", i / n }')
    median "$1-$idle"; none=$ns
    median "$1-$2"
    ns=$(awk -v r="$ns" -v e="$none" 'BEGIN { n = r - e; printf n < 1 ? "<1" : "%.0f", n }')
    allocations=$(awk -v a="$allocations" 'BEGIN { printf a == 0 ? "0" : "%.4f", a }')
}

line() {
    if [ "$format" = smoke ]; then
        return
    elif [ "$format" = md ]; then
        echo "| $1 | $2 | $3 | $4 | $5 | $6 | $7 |"
    else
        printf '%-58s %12s %6s %12s  %-26s %-8s %s\n' "$@"
    fi
}

row() { # TITLE PEER [AIM]
    met=-
    [ -z "${3:-}" ] || met=$(awk -v i="$instructions" -v a="$allocations" -v aim="$3" \
        'BEGIN { print (i <= aim && a == 0) ? "yes" : "no" }')
    line "$1" "$instructions" "$ns" "$allocations" "$2" "${3:+<= $3}" "$met"
}

line "queue, for each item" instructions ns allocations "peer in the same run" aim reached
if [ "$format" = md ]; then echo "|---|--:|--:|--:|---|---|---|"; fi
instructions='' ns='' allocations=''
for kind in cell token; do
    case $kind in cell) what="514 bytes" aim=340 ;; token) what="a token" aim= ;; esac
    measure $kind deque-steady; peer="VecDeque $instructions, $ns ns"
    measure $kind c-steady; row "from C, $what, goes through" "$peer"
    measure $kind c-spill; row "from C, $what, by way of the backlog" "$peer"
    measure $kind c-trickle; row "from C, $what, waits in the backlog alone" "$peer"
    measure $kind c-burst; row "from C, $what, 64 at once into a sink with room for 32" "$peer" $aim
    measure $kind channel-steady; peer="crossbeam $instructions, $ns ns"
    measure $kind link-steady; row "between event loops, $what, goes through" "$peer"
    measure $kind link-spill; row "between event loops, $what, by way of the backlog" "$peer"
done
if [ "$format" = smoke ]; then exit 0; fi
echo
echo "From C, only circflow's own instructions count: not those of the channel, a function that copies bytes as a socket" \
    "would and has room for one item where no other number stands. 514 bytes are moved or copied at some 76 instructions" \
    "each time."
