#!/bin/sh
# What the two builds of tor with the series make of circflow's options in torrc.
#
# usage: options.sh FOLDER MACHINES
set -eu

folder=$1
machines=$(cd "$2" && pwd)
torrc=$folder/torrc
failed=0

# verify BUILD STATUS TEXT LINE..: the build's answer to a torrc of these lines.
verify() {
    build=$1
    status=$2
    text=$3
    shift 3
    printf '%s\n' 'SocksPort 0' "DataDirectory $folder/data" "$@" >"$torrc"
    got=0
    "$folder/$build/src/app/tor" --verify-config -f "$torrc" --defaults-torrc /dev/null >"$torrc.log" 2>&1 || got=$?
    [ "$got" = 0 ] || got=1
    if [ "$got" != "$status" ] || ! grep -q -e "$text" "$torrc.log"; then
        echo "tor-patch: FAILED: with $*, tor ($build) says, with $got:" >&2
        cat "$torrc.log" >&2
        failed=1
    fi
}

valid='Configuration was valid'
verify off 0 "$valid"
verify off 0 'without support for the option .CircflowLegAlgorithm' 'CircflowLegAlgorithm ontime'
verify on 0 "$valid"
verify on 0 'chosen by ontime' 'CircflowLegAlgorithm ontime'
verify on 0 "$valid" 'CircflowLegAlgorithm ux'
verify on 1 'which is no algorithm. The names are minrtt' 'CircflowLegAlgorithm fastest'
verify on 0 "$valid" "CircflowPaddingClient $machines/front-client.txt" "CircflowPaddingRelay $machines/front-exit.txt" \
    'CircflowPaddingHop 3'
verify on 1 'cannot read' "CircflowPaddingClient $folder/is-not-there"
verify on 1 'CircflowPaddingClient: ' "CircflowPaddingClient $torrc"
verify on 1 'has to be 1, 2 or 3' 'CircflowPaddingHop 4'
verify on 1 'has to be 1, 2 or 3' 'CircflowPaddingHop 0'
verify on 0 'for testing networks only' "TestingCircflowTrace $folder/trace"
[ "$failed" = 0 ] || exit 1
echo "tor-patch: torrc options are as they should be in both builds"
