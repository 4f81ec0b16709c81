#!/bin/sh
# Starts examples/metrics and fetches what it serves as a monitor would: the kind of the answer, its last line, and that
# figures grow from one time to the next.
set -eu

program=$1
folder=$(mktemp -d)
"$program" 0 >"$folder/url" &
pid=$!
trap 'kill $pid 2>/dev/null || true; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

fail() {
    echo "fetch-metrics: FAILED: $1" >&2
    exit 1
}

# fetch PATH FILE: the answer with its head.
fetch() {
    if command -v curl >/dev/null; then
        curl --silent --include --max-time 10 "http://127.0.0.1:$port$1" | tr -d '\r' >"$2"
    else
        bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; printf 'GET $1 HTTP/1.0\r\n\r\n' >&3; cat <&3" | tr -d '\r' >"$2"
    fi
}

# figure FILE NAME: the value of a line without labels but the engine's.
figure() {
    awk -v name="$2" 'index($1, name "{") == 1 { print $2; exit }' "$1"
}

for _ in $(seq 100); do
    [ -s "$folder/url" ] && break
    sleep 0.05
done
port=$(sed 's/.*:\([0-9]*\)\/.*/\1/' "$folder/url")
[ -n "$port" ] || fail "it did not start"

fetch /metrics "$folder/first"
sleep 1
fetch /metrics "$folder/second"
fetch /exit/metrics "$folder/exit"
fetch /other "$folder/other"
for name in first second exit; do
    head -n 1 "$folder/$name" | grep -q ' 200 ' || fail "$name: $(head -n 1 "$folder/$name")"
    grep -qi '^content-type: application/openmetrics-text; version=1.0.0; charset=utf-8$' "$folder/$name" ||
        fail "$name: another content type"
    [ "$(tail -n 1 "$folder/$name")" = "# EOF" ] || fail "$name: the last line"
done
head -n 1 "$folder/other" | grep -q ' 404 ' || fail "a page that is not there: $(head -n 1 "$folder/other")"
for name in circflow_messages_in_order_total circflow_messages_held_total circflow_reorder_depth_count; do
    before=$(figure "$folder/first" $name) after=$(figure "$folder/second" $name)
    [ "$after" -gt "$before" ] || fail "$name went from $before to $after"
done
[ "$(figure "$folder/exit" circflow_messages_sent_total)" -ge "$(figure "$folder/second" circflow_messages_in_order_total)" ] ||
    fail "more came than was sent"
grep -q 'circflow_switches_total{engine="2",direction="sent"} [1-9]' "$folder/exit" || fail "no SWITCH was sent"
kill $pid
wait $pid || fail "it ended with $?"
echo "fetch-metrics: OK, $(figure "$folder/second" circflow_messages_in_order_total) messages in order," \
    "$(figure "$folder/second" circflow_messages_held_total) held"
