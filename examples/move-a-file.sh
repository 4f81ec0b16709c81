#!/bin/sh
# move-a-file.sh TUNNEL FOLDER: moves a file through examples/tunnel.c, between two processes, and compares what came.
set -eu
tunnel=$1
folder=$2
exit_pid=""

fail() {
    echo "move-a-file: FAILED: $1"
    cat "$folder/exit.log"
    exit 1
}
clean_up() {
    if [ -n "$exit_pid" ]; then kill "$exit_pid" 2>/dev/null || true; fi
}
trap clean_up EXIT
trap 'exit 1' HUP INT QUIT TERM

# The exit of the tunnel waits on the ports, or says that one of them is taken.
listen() {
    a=$(( $(od -An -N2 -tu2 /dev/urandom) % 20000 + 10000 ))
    : >"$folder/exit.log"
    timeout 60 "$tunnel" exit -a "$a" -b $((a + 1)) "$folder/came" >"$folder/exit.log" 2>&1 &
    exit_pid=$!
    for _ in $(seq 50); do
        if grep -q 'waits on ports' "$folder/exit.log"; then return 0; fi
        if grep -q 'cannot listen' "$folder/exit.log"; then return 1; fi
        sleep 0.2
    done
    fail "the exit did not come up"
}

# One transfer. Each end is given a minute.
move() {
    tries=0
    until listen; do
        tries=$((tries + 1))
        [ $tries -lt 20 ] || fail "no two free ports"
    done
    timeout 60 "$tunnel" client -a "$a" -b $((a + 1)) "$folder/sent" >"$folder/client.log" 2>&1 ||
        { cat "$folder/client.log"; fail "the client"; }
    wait "$exit_pid" || fail "the exit"
    exit_pid=""
    cmp "$folder/sent" "$folder/came" || fail "other bytes came"
}

mkdir -p "$folder"
head -c 5000000 /dev/urandom >"$folder/sent"
# The default algorithm may find that one path alone is as fast. On equal paths it does so rarely.
for _ in 1 2 3 4 5; do
    move
    if grep -Eq 'DATA frames: [1-9][0-9]* on path A, [1-9][0-9]* on path B' "$folder/client.log"; then
        cat "$folder/client.log"
        exit 0
    fi
done
fail "one path alone carried all, five times"
