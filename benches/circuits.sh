#!/bin/sh
# Runs the benches of circuits that circflow runs, and prints one table. FORMAT: text (default), md, smoke.
#
# Instructions as in run.sh: inclusive costs of the library's functions, as called from the bench, of two runs of unequal
# length: their difference over the difference in cells. For the parts of a tunnel: by the calling function.
set -eu

dir=$1
format=${FORMAT:-text}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

"$dir/bench-run-alloc" list >"$tmp/list"

if [ "$format" = smoke ]; then
    while IFS='|' read -r name rest; do
        "$dir/bench-run-alloc" "$name" run 3000 >/dev/null
    done <"$tmp/list"
    "$dir/bench-run-alloc" cores 2 600 >/dev/null
    for engines in 1 2; do
        "$dir/bench-run-alloc" loops $engines up 3000 >/dev/null
        "$dir/bench-run-alloc" loops $engines down 3000 >/dev/null
    done
    "$dir/bench-run-alloc" memory relay 100 >/dev/null
    "$dir/bench-run-alloc" memory exit 100 >/dev/null
    echo "bench-run-smoke: OK, $(wc -l <"$tmp/list") workloads"
    exit 0
fi

# counted WORKLOAD CELLS PREFIX FILE: sets cells, and writes a line for each caller: function, instructions.
counted() {
    out=$dir/callgrind.$1.$2
    cells=$(valgrind --tool=callgrind --callgrind-out-file="$out" --compress-strings=no --compress-pos=no \
        "$dir/bench-run" "$1" run "$2" 2>"$tmp/err")
    [ -n "$cells" ] || { cat "$tmp/err" >&2; exit 1; }
    awk -v prefix="^$3" -f benches/callers.awk "$out" >"$4"
}

# part FUNCTION ..: instructions per cell of these callers; of all callers when none is named.
part() {
    awk -v wanted=" $* " -v cells="$((c2 - c1))" '
        NR == FNR { before[$1] = $2; next }
        wanted == "  " || index(wanted, " " $1 " ") { sum += $2 - before[$1] }
        END { printf "%.1f", sum / cells }' "$tmp/1" "$tmp/2"
}

row() { # TITLE INSTRUCTIONS NS ALLOCATIONS AIM REACHED
    if [ "$format" = md ]; then
        echo "| $1 | $2 | $3 | $4 | $5 | $6 |"
    else
        printf '%-58s %12s %7s %11s  %-10s %s\n' "$1" "$2" "$3" "$4" "$5" "$6"
    fi
}

if [ "$format" = md ]; then
    echo "| circuits that circflow runs, for each cell | instructions | ns | allocations | aim | reached |"
    echo "|---|--:|--:|--:|---|---|"
else
    row "circuits that circflow runs, for each cell" instructions ns allocations aim reached
fi

while IFS='|' read -r name prefix aim title; do
    [ -t 2 ] && echo "$name" >&2
    allocations=$("$dir/bench-run-alloc" "$name" count 200000 | awk '{ printf $1 == 0 ? "0" : "%.2f", $1 }')
    ns=$("$dir/bench-run" "$name" time 1000000 | awk '{ printf "%.0f", $1 }')
    counted "$name" 20000 "$prefix" "$tmp/1"; c1=$cells
    counted "$name" 60000 "$prefix" "$tmp/2"; c2=$cells
    instructions=$(part)
    met=-
    if [ -n "$aim" ]; then
        met=$(awk -v i="$instructions" -v a="$allocations" -v aim="$aim" \
            'BEGIN { print (i <= aim && a == 0) ? "yes" : "no" }')
    fi
    row "$title" "$instructions" "$ns" "$allocations" "${aim:+<= $aim}" "$met"
    case $prefix$name in
    circflow_plain | circflow_set | circflow_crossing | circflow_elsewhere)
        row "  of it: the client sends" "$(part client_sends)" - - "" ""
        row "  of it: each of the two relays" \
            "$(part relays_forward | awk '{ printf "%.1f", $1 / 2 }')" - - "" ""
        row "  of it: the exit receives" "$(part exit_receives elsewhere_receives)" - - "" ""
        row "  of it: the exit drains, and says what was flushed" \
            "$(part exit_drains exit_hears elsewhere_drains elsewhere_hears)" - - "" ""
        row "  of it: SENDMEs on their way back, and at the client" \
            "$(part relays_return client_receives client_drains)" - - "" ""
        eval "ns_$name=$ns"
        ;;
    esac
    at_exit=$(part exit_receives exit_hears exit_drains exit_sends elsewhere_receives elsewhere_hears elsewhere_drains)
    case $name in
    set | down) there=$at_exit ;;
    elsewhere | downelsewhere)
        # Half of the cells cross.
        more=$(awk -v all="$at_exit" -v there="$there" 'BEGIN { printf "%.1f", 2 * (all - there) }')
        row "  what a cell that crosses costs the exit more" "$more" - - "<= 650" \
            "$(awk -v more="$more" 'BEGIN { print more <= 650 ? "yes" : "no" }')"
        ;;
    esac
done <"$tmp/list"

# Other programs slow the threads down, so the best of five runs counts.
best() {
    for _ in 1 2 3 4 5; do "$dir/bench-run" cores "$1" 3000; done | awk -v column="$2" '
        $column > best { best = $column } END { printf "%.0f", best }'
}
one=$(best 1 1) two=$(best 2 1) one_busy=$(best 1 2) two_busy=$(best 2 2)

# The set on one engine of the exit and on two, by turns, so that other load on the machine slows both alike.
for direction in up down; do
    for _ in 1 2 3 4 5; do
        for engines in 1 2; do
            echo "$engines $("$dir/bench-run" loops $engines $direction 500000)"
        done
    done >"$tmp/$direction"
    best_of() { awk -v engines="$1" -v column="$2" '
        $1 == engines && $column > best { best = $column } END { printf "%.0f", best }' "$tmp/$direction"; }
    eval "${direction}_wall=$(best_of 2 2) ${direction}_wall1=$(best_of 1 2)"
    eval "${direction}_busy=$(best_of 2 3) ${direction}_busy1=$(best_of 1 3)"
    eval "${direction}_part=$(awk '$1 == 2 { sum += $7; n++ } END { printf "%.0f", 100 * sum / n }' "$tmp/$direction")"
done
relay=$("$dir/bench-run-alloc" memory relay 100000) exit_end=$("$dir/bench-run-alloc" memory exit 100000)

echo
awk -v plain="$ns_plain" -v set="$ns_set" -v one="$one" -v two="$two" -v ob="$one_busy" -v tb="$two_busy" \
    -v uw="$up_wall" -v uw1="$up_wall1" -v ub="$up_busy" -v ub1="$up_busy1" -v up="$up_part" \
    -v dw="$down_wall" -v dw1="$down_wall1" -v db="$down_busy" -v db1="$down_busy1" -v dp="$down_part" \
    -v relay="$relay" -v exit_end="$exit_end" 'BEGIN {
    printf "From end to end on one core, 488 bytes of stream data a cell, copied at each of four hops, no encryption: "
    printf "%.2f GB/s on one circuit, %.2f GB/s on a set (aim 1).\n", 488 / plain, 488 / set
    printf "200 sets: %.2f million cells/s in one thread, %.2f in two with engines of their own: %.2f times (aim 1.7); ", \
        one / 1e6, two / 1e6, two / one
    printf "%.2f times by the time that the processors spent.\n", tb / ob
    shared = "One set, %s: %.2f million cells/s with a thread for the exit, %.2f with one for each leg (aim 0.9): %.2f times; "
    shared = shared "%.2f times by the processor time of the busier one; %d %% of the cells crossed.\n"
    printf shared, "client to exit", uw1 / 1e6, uw / 1e6, uw / uw1, ub / ub1, up
    printf shared, "exit to client", dw1 / 1e6, dw / 1e6, dw / dw1, db / db1, dp
    printf "Memory for each of 100,000 circuits: a relay %d bytes (aim 600); at an exit, with a stream and a window, %d.\n", \
        relay, exit_end
}'
cat <<'END'
The peer is written for this bench: a linked list with a malloc and a copy for each cell, as C Tor has it, without C Tor. Its
cell queue alone takes 385 instructions and 1 allocation there. Ns is that of the best
stretch of 20,000 cells, the bench's own copies in, as the machine may be shared.
END
