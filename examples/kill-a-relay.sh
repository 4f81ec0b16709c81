#!/bin/sh
# kill-a-relay.sh DEMO [MOMENT...]: runs the demo over two legs, kills the middle of leg B MOMENT seconds into the
# transfer, and checks the outcome. Allowed: a clear error and a status that says so, or a finished, correct transfer.
# Wrong bytes, a hang or a process left behind are not.
set -eu

if [ $# -eq 0 ] || [ ! -x "$1" ]; then
    echo "usage: kill-a-relay.sh DEMO [SECONDS...]   (make demo-kill runs it with build/examples/demo)" >&2
    exit 2
fi
demo=$1
shift
[ $# -gt 0 ] || set -- 0 0.1 0.3 0.8 1.3

log=$(mktemp)
trap 'rm -f "$log"' EXIT

failed() {
    echo "kill-a-relay: FAILED: $1" >&2
    cat "$log" >&2
    exit 1
}

# Waits until the log has a line that matches, at most 10 seconds.
wait_for() {
    tries=0
    until grep -q "$1" "$log"; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || failed "no line '$1'"
        sleep 0.05
    done
}

check_outcome() {
    case "$1:$(tail -n 1 "$log")" in
    "0:demo: OK: "*) ;;
    "1:demo: FAILED: leg B closed: "*) ;;
    *) failed "status $1, and neither of the outcomes that are allowed" ;;
    esac
}

check_nothing_left() {
    for pid in $(sed -n 's/.*pid \([0-9]*\).*pid \([0-9]*\).*/\1 \2/p' "$log"); do
        ! kill -0 "$pid" 2>/dev/null || failed "process $pid is still there"
    done
}

for moment; do
    : >"$log" # Or the lines of the last run would be taken for those of this one.
    timeout 40 "$demo" --two-only --size-mib 8 >"$log" 2>&1 &
    running=$!
    wait_for 'client pid'
    relay=$(sed -n 's/.*leg B: .*middle pid \([0-9][0-9]*\).*/\1/p' "$log")
    [ -n "$relay" ] || failed "no relay to kill"
    sleep "$moment"
    kill -9 "$relay" || failed "it was over after $moment s"
    status=0
    wait "$running" || status=$?
    check_outcome "$status"
    check_nothing_left
    echo "after $moment s: $(tail -n 1 "$log")"
done
echo "kill-a-relay: OK"
