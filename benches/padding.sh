#!/bin/sh
# Runs the padding benches and prints one table. FORMAT: text (default) or md.
#
# Instructions: each workload runs under callgrind with N and with 3 N operations, and so does the loop without the
# library; the difference of the differences, over 2 N, is the cost of an operation. Nanoseconds: median of nine runs,
# minus that of nine empty runs, by turns.
set -eu

dir=$1
format=${FORMAT:-text}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

# instructions of: PROGRAM WORKLOAD [ARMED] ROUNDS
total() {
    valgrind --tool=callgrind --callgrind-out-file="$tmp/out" "$@" >/dev/null 2>"$tmp/err" || { cat "$tmp/err" >&2; exit 1; }
    awk '/^totals:/ { print $2 }' "$tmp/out"
}

# count PROGRAM WORKLOAD N [ARMED]: sets instructions
count() {
    a=$(total "$dir/$1" "$2" ${4:+$4} "$3"); b=$(total "$dir/$1" "$2" ${4:+$4} $(($3 * 3)))
    c=0 d=0
    if [ "$2" = "${2#expire}" ]; then
        c=$(total "$dir/$1" "$2-empty" ${4:+$4} "$3"); d=$(total "$dir/$1" "$2-empty" ${4:+$4} $(($3 * 3)))
    fi
    instructions=$(awk -v i=$(((b - a) - (d - c))) -v n=$(($3 * 2)) 'BEGIN { printf "%.0f", i / n }')
}

# time PROGRAM WORKLOAD N [ARMED]: sets ns
measure() {
    for _ in 1 2 3 4 5 6 7 8 9; do
        "$dir/$1" "$2" ${4:+$4} "$3" >>"$tmp/real"
        if [ "$2" != "${2#expire}" ]; then echo 0; else "$dir/$1" "$2-empty" ${4:+$4} "$3"; fi >>"$tmp/empty"
    done
    ns=$(awk -v r="$(sort -n "$tmp/real" | sed -n 5p)" -v e="$(sort -n "$tmp/empty" | sed -n 5p)" \
        'BEGIN { n = r - e; printf n < 1 ? "<1" : "%.0f", n }')
    rm "$tmp/real" "$tmp/empty"
}

row() { # TITLE AIM PEER, with instructions and ns set
    met=-
    case $2 in [0-9]*) met=$(awk -v i="$instructions" -v a="$2" 'BEGIN { print i <= a ? "yes" : "no" }') ;; esac
    aim=$2
    case $aim in [0-9]*) aim="<= $aim" ;; esac
    if [ "$format" = md ]; then
        echo "| $1 | $instructions | $ns | $3 | $aim | $met |"
    else
        printf '%-62s %12s %6s  %-26s %-8s %s\n' "$1" "$instructions" "$ns" "$3" "$aim" "$met"
    fi
}

if [ "$format" = md ]; then
    echo "| for each operation | instructions | ns | peer in the same run | aim | reached |"
    echo "|---|--:|--:|---|---|---|"
else
    printf '%-62s %12s %6s  %-26s %-8s %s\n' "padding, for each operation" instructions ns "peer in the same run" aim reached
fi

for load in idle rearm draw; do
    for machines in 1 2 4; do
        count bench-maybenot "$load-$machines" 4000; peer=$instructions
        measure bench-maybenot "$load-$machines" 200000; peer="maybenot-ffi $peer, $ns ns"
        count bench-padding "$load-$machines" 4000
        measure bench-padding "$load-$machines" 200000
        case $machines in 1) aim=350 ;; 2) aim=530 ;; 4) aim=690 ;; esac
        case $load in
        idle) what="of no interest to them" ;;
        rearm) what="each sets its timer anew" ;;
        draw) what="each draws a time for its timer"; aim=- ;;
        esac
        row "one event, $machines machine(s), $what" $aim "$peer"
    done
done
for what in recorded states; do
    count bench-padding "$what-rearm-1" 4000; measure bench-padding "$what-rearm-1" 20000
    case $what in recorded) title="what padders do is recorded" ;; states) title="states are recorded, too" ;; esac
    row "one event, 1 machine(s), it sets its timer anew, $title" - -
done
count bench-maybenot rearm-0 4000; peer=$instructions
measure bench-maybenot rearm-0 200000; peer="maybenot-ffi $peer, $ns ns"
count bench-padding bystander-written 10000; measure bench-padding bystander-written 200000
row "a circuit without a padder, a call of its own (written)" 50 "$peer"
count bench-padding bystander-sent 10000; measure bench-padding bystander-sent 200000
row "the same (sent)" 50 "$peer"
count bench-padding bystander-receive 10000; measure bench-padding bystander-receive 200000
row "a message comes on such a circuit" 50 -
count bench-padding bystander-send 10000; measure bench-padding bystander-send 200000
row "a message goes out on such a circuit" 70 -
for machines in 1 4; do
    count bench-padding "expire-$machines" 4000; measure bench-padding "expire-$machines" 200000
    case $machines in 1) aim=1200 ;; *) aim=- ;; esac
    row "a timer ends, its padding cell is taken, $machines machine(s)" $aim -
done
for armed in 1000 1000000; do
    for load in later random set; do
        peer=-
        if [ $load != set ]; then
            count bench-libevent $load 20000 $armed; peer=$instructions
            measure bench-libevent $load 500000 $armed; peer="libevent $peer, $ns ns"
        fi
        count bench-timers $load 20000 $armed; measure bench-timers $load 500000 $armed
        case $load in later) title="re-arm a timer, later" ;; random) title="re-arm a timer, anywhere within 10 s" ;; set) title="arm a timer from nothing" ;; esac
        row "$title, $armed armed" 90 "$peer"
    done
    count bench-timers mixed 60000 $armed; measure bench-timers mixed 1000000 $armed
    row "arm, re-arm and expire mixed, $armed armed" 500 -
done
for circuits in 1000 100000; do
    count bench-padding deadline-$circuits 20000; measure bench-padding deadline-$circuits 500000
    row "next deadline, $circuits circuits armed" - -
    count bench-padding tick-$circuits 20000; measure bench-padding tick-$circuits 500000
    row "tick with nothing due, $circuits circuits armed" - -
done
echo
echo "memory for each circuit, bytes: without padding $("$dir/bench-padding" memory 0) (aim 200)," \
    "one machine $("$dir/bench-padding" memory 1) (aim 1024), four $("$dir/bench-padding" memory 4) (aim 2048)"
