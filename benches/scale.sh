#!/bin/sh
# Measures what operations cost among few and among many circuits and sets, and prints tables. FORMAT: text (default),
# md, csv, smoke (small, for its checks only), or page (renews docs/scale.svg, and the tables between the two marks in
# docs/performance.md). SCALE: how many circuits and sets, several numbers. FROM: draw and print the figures of this
# file of an earlier run, and measure nothing. The figures are left in scale.csv and scale.svg beside the programs.
#
# Instructions and cache lines: one run under callgrind for each number, circflow and the peer alike. The program ends a
# part of the profile with each phase, and the inclusive costs of the functions of the library or the peer, as called
# from the operation, are divided by how often it ran. What comes before a phase is in another part, so it is not
# counted. The caches are made up, the same on each machine: 32 KiB, then 8 MiB.
#
# Nanoseconds: the median of five runs, circflow and the peer by turns, shown as the ratio of the two.
set -eu

dir=$1
format=${FORMAT:-text}
scale=${SCALE:-1 100 10000 100000 1000000}
operations=20000
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

if [ "$format" = smoke ]; then
    for count in 1 7 300; do
        for world in library peer; do
            "$dir/bench-scale-alloc" $world $count 200 >>"$tmp/smoke"
        done
    done
    awk -F '|' '$2 == "" { exit 1 } END { exit NR != 30 }' "$tmp/smoke"
    echo "bench-scale-smoke: OK, 15 operations"
    exit 0
fi

# A set takes some 4 KiB, and memory must be left for others.
fits() {
    awk -v count="$1" '/^MemAvailable:/ { exit !($2 > count * 6) }' /proc/meminfo
}

# counted WORLD COUNT: appends operation|count|measure|world|figure.
counted() {
    rm -f "$tmp"/profile*
    valgrind --tool=callgrind --callgrind-out-file="$tmp/profile" --compress-strings=no --compress-pos=no \
        --cache-sim=yes --I1=32768,8,64 --D1=32768,8,64 --LL=8388608,16,64 \
        "$dir/bench-scale" "$1" "$2" $operations >"$tmp/printed" 2>"$tmp/err" || { cat "$tmp/err" >&2; exit 1; }
    for part in "$tmp"/profile.*; do
        name=$(sed -n 's/^desc: Trigger: Client Request: //p' "$part")
        awk -v prefix='^(circflow_|peer_)' -f benches/callers.awk "$part" | sed "s/^/$name /"
    done >"$tmp/costs"
    awk -v world="$1" -v count="$2" '
        NR == FNR { for (i = 3; i <= 5; i++) cost[$1, $2, i] += $i; seen[$1, $2]; next }
        { split($0, field, "|") }
        (field[2], field[3]) in seen {
            split("instructions lines lines-far", measure, " ")
            for (i = 1; i <= 3; i++)
                printf "%s|%s|%s|%s|%.2f\n", field[1], count, measure[i], world, \
                    cost[field[2], field[3], i + 2] / field[4]
        }' "$tmp/costs" "$tmp/printed" >>"$tmp/figures"
}

# measured FILE: measures all, and writes a line for each figure of circflow, with the peer's beside it.
measured() {
    : >"$tmp/figures"
    for count in $scale; do
        fits "$count" || { echo "bench-scale: $count is left out, as memory is short" >&2; continue; }
        [ -t 2 ] && echo "$count" >&2
        : >"$tmp/times"
        for _ in 1 2 3 4 5; do
            for world in library peer; do
                "$dir/bench-scale" $world "$count" $operations >"$tmp/printed"
                sed "s/^/$world|/" "$tmp/printed" >>"$tmp/times"
            done
        done
        sort -t '|' -k 1,2 -k 6,6n "$tmp/times" | awk -F '|' -v count="$count" '
            { place = (++seen[$1, $2]) }
            place == 3 { printf "%s|%s|ns|%s|%s\n", $2, count, $1, $6 }' >>"$tmp/figures"
        for world in library peer; do
            "$dir/bench-scale-alloc" $world "$count" 1 >"$tmp/printed"
            awk -F '|' -v count="$count" -v world=$world '
                { printf "%s|%s|bytes|%s|%s\n", $1, count, world, $2 }' "$tmp/printed" >>"$tmp/figures"
            counted $world "$count"
        done
    done
    [ -s "$tmp/figures" ] || { echo "bench-scale: there is no memory for any of: $scale" >&2; exit 1; }
    awk -F '|' '
        $4 == "peer" { peer[$1, $2, $3] = $5 }
        $4 == "library" { line[++lines] = $1 "," $2 "," $3; figure[lines] = $5; key[lines] = $1 SUBSEP $2 SUBSEP $3 }
        END {
            print "operation,count,measure,circflow,peer"
            for (i = 1; i <= lines; i++) print line[i] "," figure[i] "," peer[key[i]]
        }' "$tmp/figures" >"$1"
}

mkdir -p "$dir"
if [ -n "${FROM:-}" ]; then cp "$FROM" "$tmp/csv"; else measured "$tmp/csv"; fi
cp "$tmp/csv" "$dir/scale.csv"
awk -f benches/scale_titles.awk -f benches/scale_picture.awk "$dir/scale.csv" >"$dir/scale.svg"

tables() {
    awk -v format="$1" -f benches/scale_titles.awk -f benches/scale_table.awk "$dir/scale.csv"
}

case $format in
csv) cat "$dir/scale.csv" ;;
page)
    cp "$dir/scale.svg" docs/scale.svg
    tables md >"$tmp/tables"
    awk -v tables="$tmp/tables" '
        /^<!-- end of bench-scale -->/ { inside = 0 }
        !inside
        /^<!-- bench-scale -->/ { inside = 1; print ""; while ((getline line < tables) > 0) print line }
        ' docs/performance.md >"$tmp/page"
    cp "$tmp/page" docs/performance.md
    ;;
*) tables "$format" ;;
esac
