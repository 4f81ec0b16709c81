#!/bin/sh
# Runs the benches and prints one table. FORMAT: text (default), md, cross, smoke, count. ONLY: names of workloads.
#
# How instructions are counted. Each workload runs twice under callgrind, with N1 and N2 cells. For each run the
# inclusive costs of the library's functions, as called from the bench, are added: so the bench's own loop, its
# messages and its checks (also those in its callbacks, on_*) are not counted, and functions that the library calls (memcpy, malloc) are. The
# difference of the two runs over the difference in cells leaves out what happens once: set-up, and growth of memory.
#
# FORMAT=cross counts in a second way: all instructions of the program, minus all instructions of the loop over stubs
# that do nothing, the few of the stubs themselves added back. The two must agree.
#
# FORMAT=count prints the instructions of each workload after its name, and nothing else.
set -eu

dir=$1
format=${FORMAT:-text}
only=${ONLY:-}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

wanted() {
    [ -z "$only" ] && return 0
    case " $only " in *" $1 "*) return 0 ;; esac
    return 1
}

# counted WORKLOAD MODE CELLS PREFIX: sets `cells`, `total` and `inside`.
counted() {
    out=$dir/callgrind.$1.$2.$3
    cells=$(valgrind --tool=callgrind --callgrind-out-file="$out" --compress-strings=no --compress-pos=no \
        "$dir/bench" "$1" "$2" "$3" 2>"$tmp/err" | awk '{ print $1 }')
    [ -n "$cells" ] || { cat "$tmp/err" >&2; exit 1; }
    set -- $(awk -v prefix="^$4" '
        /^fn=/ { fn = substr($0, 4) }
        /^cfn=/ { callee = substr($0, 5) }
        /^calls=/ {
            getline
            if (callee ~ prefix && fn !~ prefix) inside += $NF
            if (callee ~ /^on_/ && fn ~ prefix) inside -= $NF
        }
        /^totals:/ { total = $2 }
        END { printf "%.0f %.0f\n", total, inside }' "$out")
    total=$1 inside=$2
}

# Sizes for callgrind: at least one whole round of a reordering, then two more.
sizes() {
    n1=5000 n2=25000
    if [ "$1" -gt 1000 ]; then n1=$(($1 * 2)) n2=$(($1 * 6)); fi
}

# counted_per_cell WORKLOAD DEPTH PREFIX: sets `instructions`.
counted_per_cell() {
    sizes "$2"
    counted "$1" real $n1 "$3"; c1=$cells i1=$inside
    counted "$1" real $n2 "$3"; c2=$cells i2=$inside
    instructions=$(awk -v i=$((i2 - i1)) -v c=$((c2 - c1)) 'BEGIN { printf "%.1f", i / c }')
}

header() {
    cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
    compiler=$(${CC:-cc} --version | awk '
        NR == 1 { sub(/ *\([^)]*\)/, ""); first = $0 }
        /Free Software Foundation/ { sub(/^[^ ]+/, "gcc", first) }
        END { print first }')
    echo "circflow ${VERSION:-?}, $(date -u +%Y-%m-%d), ${cpu:-unknown CPU}, $(uname -m), $compiler," \
        "$(rustc --version | cut -d ' ' -f 1,2), $(valgrind --version | tr - ' ')"
}

"$dir/bench-alloc" list >"$tmp/list"
for name in $only; do
    grep -q "^$name|" "$tmp/list" || { echo "bench: there is no workload \"$name\"" >&2; exit 2; }
done

if [ "$format" = smoke ]; then
    runs=0
    while IFS='|' read -r name rest; do
        wanted "$name" || continue
        "$dir/bench-alloc" "$name" verify 3000 >/dev/null
        "$dir/bench-alloc" "$name" empty 3000 >/dev/null
        runs=$((runs + 1))
    done <"$tmp/list"
    echo "bench-smoke: OK, $runs workloads"
    exit 0
fi

if [ "$format" = cross ]; then
    header
    printf '%-24s %12s %12s %12s\n' workload inclusive subtracted difference
    while IFS='|' read -r name prefix depth rest; do
        wanted "$name" || continue
        case $name in *hold) continue ;; esac
        sizes "$depth"
        counted "$name" real $n1 "$prefix"; c1=$cells rt1=$total ri1=$inside
        counted "$name" real $n2 "$prefix"; c2=$cells rt2=$total ri2=$inside
        counted "$name" empty $n1 stub_; et1=$total ei1=$inside
        counted "$name" empty $n2 stub_; et2=$total ei2=$inside
        awk -v name="$name" -v n=$((c2 - c1)) -v a=$((ri2 - ri1)) \
            -v b=$((rt2 - rt1 - (et2 - et1) + (ei2 - ei1))) 'BEGIN {
            off = (a > b ? a - b : b - a) / n
            printf "%-24s %12.2f %12.2f %12.2f\n", name, a / n, b / n, off
            exit off > 2 }' || { echo "bench: the two ways do not agree" >&2; exit 1; }
    done <"$tmp/list"
    exit 0
fi

: >"$tmp/rows"
while IFS='|' read -r name prefix depth aim aim_text title; do
    wanted "$name" || continue
    [ -t 2 ] && echo "$name" >&2
    "$dir/bench-alloc" "$name" verify 30000 >/dev/null
    if [ "$format" = count ]; then
        counted_per_cell "$name" "$depth" "$prefix"
        echo "$name $instructions"
        continue
    fi
    native=200000
    if [ "$depth" -gt 1000 ]; then native=$((depth * 20)); fi
    figures=$("$dir/bench-alloc" "$name" count $native)
    set -- $figures
    allocs=$1 bytes=$2 kept=$3
    case $name in
    *hold)
        instructions=- ns=-
        bytes=$kept
        met=$(awk -v k="$kept" -v a="$allocs" 'BEGIN { print (k <= 540 && a == 0) ? "yes" : "no" }')
        ;;
    *)
        counted_per_cell "$name" "$depth" "$prefix"
        figures=$("$dir/bench" "$name" time $native)
        set -- $figures
        ns=$(awk -v ns="$1" 'BEGIN { printf ns < 1 ? "<1" : "%.1f", ns }')
        met=$(awk -v i="$instructions" -v a="$allocs" -v aim="$aim" \
            'BEGIN { print (i <= aim && a == 0) ? "yes" : "no" }')
        ;;
    esac
    [ -n "$aim_text" ] && aim_text="≤ $aim_text" || { aim_text=-; met=-; }
    allocs=$(awk -v a="$allocs" 'BEGIN { printf a == 0 ? "0" : "%.2f", a }')
    bytes=$(awk -v b="$bytes" 'BEGIN { printf b == 0 ? "0" : "%.0f", b }')
    echo "$title|$instructions|$ns|$allocs|$bytes|$aim_text|$met|ok" >>"$tmp/rows"
done <"$tmp/list"

[ "$format" = count ] && exit 0

header
echo
awk -F '|' -v format="$format" '
    # Width in characters: every awk counts the bytes of the one sign that is not ASCII.
    function width(text) { gsub(/≤/, "<", text); return length(text) }
    function pad(text, columns, right,   space) {
        space = sprintf("%" (columns - width(text)) "s", "")
        if (columns <= width(text)) space = ""
        return right ? space text : text space
    }
    function row(cells,   i, line) {
        for (i = 1; i <= 8; i++) {
            if (format == "md") line = line "| " pad(cells[i], widths[i], i >= 2 && i <= 5) " "
            else line = line (i > 1 ? "  " : "") pad(cells[i], widths[i], i >= 2 && i <= 5)
        }
        if (format == "md") line = line "|"
        sub(/ +$/, "", line)
        print line
    }
    BEGIN {
        split("workload|instructions|ns|allocations|bytes|aim|reached|checked", heads, "|")
        for (i = 1; i <= 8; i++) widths[i] = length(heads[i])
    }
    { for (i = 1; i <= 8; i++) { table[NR, i] = $i; if (width($i) > widths[i]) widths[i] = width($i) } }
    END {
        row(heads)
        for (i = 1; i <= 8; i++) {
            rule[i] = sprintf("%" widths[i] "s", "")
            gsub(/ /, "-", rule[i])
            if (format == "md" && i >= 2 && i <= 5) sub(/-$/, ":", rule[i])
        }
        row(rule)
        for (r = 1; r <= NR; r++) { for (i = 1; i <= 8; i++) cells[i] = table[r, i]; row(cells) }
    }' "$tmp/rows"
cat <<'END'

All figures are for each cell, the bench's own cost left out; allocations and bytes are those of a steady state. A cell
is one DATA message; a workload that moves none counts calls. Time is the median of 15 runs. In the rows on memory,
bytes is what one held message keeps. Checked: every status, verdict, leg, number and body, the order and the count.
The peer "heap" keeps no caps and checks nothing that the other end may do wrong.
END
