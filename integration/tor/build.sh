#!/bin/sh
# Builds tor out of its tree, which is not touched. A file at src/core/or/ of the build folder takes the place of tor's
# own file of that name (VPATH looks there first), for the program and for the tests alike: that is the whole trick.
#
# usage: build.sh stock    SOURCE FOLDER
#        build.sh circflow SOURCE FOLDER STOCK_FOLDER LIBRARY "LIBRARIES IT NEEDS"
#        build.sh debug    (the same)
#        build.sh seam     SOURCE FOLDER LIKE_FOLDER [LIBRARY "LIBRARIES IT NEEDS"]
#        build.sh rows     SOURCE FOLDER LIKE_FOLDER
#        build.sh trace    (the same)
#        build.sh package  SOURCE FOLDER LIBRARY "LIBRARIES IT NEEDS" OPTION_OF_CONFIGURE..
#
# stock and package are compiled from scratch. The others start as a copy of another build, as only a few of its
# objects change. package is the program with circflow, as the options of configure say: a distribution's, or those
# for sanitizers. debug has an adapter that can be told to do wrong, and is the program alone. seam is the tests
# alone, with seam_tests.c and seam_pool_tests.c among them; with a library it is like the build with circflow,
# without one like the stock build. rows is stock tor's tests alone too, with rows_tests.c among them. trace is stock
# tor's program alone, with trace.c between some of its files.
set -eu

kind=$1
source=$2
folder=$3
shift 3
like=
[ "$kind" = stock ] || [ "$kind" = package ] || { like=$1; shift; }
library=${1:-}
needs=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
jobs=$(nproc 2>/dev/null || echo 2)
targets="src/app/tor src/tools/tor-gencert src/test/test"
case $kind in
debug | trace | package) targets=src/app/tor ;;
seam | rows) targets=src/test/test ;;
esac

fail() {
    tail -n 30 "$folder/log" >&2
    echo "tor: $1, see $folder/log" >&2
    exit 1
}

# A folder that was configured for another source is of no use.
if [ -f "$folder/for" ] && [ "$(cat "$folder/for")" != "$source" ]; then rm -rf "$folder"; fi

if [ ! -f "$folder/for" ] && [ -z "$like" ]; then
    echo "tor: configuring" >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    if [ "$kind" = stock ]; then
        set -- --disable-systemd --disable-lzma --disable-zstd --disable-seccomp
    else
        shift 2
    fi
    (cd "$folder" && "$source/configure" --disable-asciidoc --disable-manpage --disable-html-manual "$@" >log 2>&1) ||
        fail "configure failed"
    echo "$source" >"$folder/for"
elif [ ! -f "$folder/for" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    # Hard links, as the compiler and ar write new files and never into old ones. Where there are none, a copy that
    # keeps the times, so that make finds all of it up to date.
    cp -al "$like/." "$folder/" 2>/dev/null || { rm -rf "$folder"; cp -a "$like" "$folder"; }
    # Made from tor's own files, and newer than ours in a fresh clone.
    find "$folder" -name '*conflux*.o' -delete
    [ "$kind" != rows ] || find "$folder/src/test" -name '*relaycell.o' -delete
    rm -f "$folder/for" "$folder/log" "$folder/src/app/tor" "$folder/src/test/test"
    cp "$like/for" "$folder/for"
fi

if [ "$kind" = seam ]; then
    ln -sf "$here/seam_tests.c" "$folder/src/test/test_conflux_cell.c"
    ln -sf "$here/seam_pool_tests.c" "$folder/src/test/test_conflux_pool.c"
    ln -sf "$here/seam_options.h" "$folder/src/test/seam_options.h"
fi
if [ "$kind" = rows ]; then
    ln -sf "$here/rows_tests.c" "$folder/src/test/test_relaycell.c"
    ln -sf "$root/c-tests/stream_rows.h" "$folder/src/test/stream_rows.h"
    find "$folder/src/test" -name '*relaycell.o' ! -newer "$root/c-tests/stream_rows.h" -delete
fi
if [ -n "$library" ]; then
    or=$folder/src/core/or
    ln -sf "$root/include/circflow.h" "$or/circflow.h"
    for file in "$here"/adapter/*.[ch]; do
        ln -sf "$file" "$or/$(basename "$file")"
    done
    # A header and not a compiler option, as options of tor's own choice must stay.
    if [ "$kind" = debug ]; then debug=1; else debug=0; fi
    printf '#define CIRCFLOW_TOR_DEBUG %s\n#include "circflow_zero_edit.h"\n' "$debug" >"$or/circflow_build.h.new"
    cmp -s "$or/circflow_build.h.new" "$or/circflow_build.h" || mv "$or/circflow_build.h.new" "$or/circflow_build.h"
    rm -f "$or/circflow_build.h.new"
    # make does not know that the programs depend on the library.
    for target in $targets; do
        [ ! "$library" -nt "$folder/$target" ] || rm -f "$folder/$target"
    done
fi

# Calls of these from one file of tor's to another reach the adapter first, which then calls them:
# circflow_zero_edit.h.
wrapped="circpad_deliver_recognized_relay_cell_events circpad_deliver_unrecognized_cell_events
    circpad_deliver_sent_relay_cell_events circpad_check_received_cell circpad_machine_event_circ_built
    circpad_circuit_free_all_machineinfos circpad_free_all circuitmux_notify_xmit_cells relay_metrics_get_stores
    circuit_get_package_window connection_edge_send_command log_heartbeat"
[ "$kind" != debug ] || wrapped="$wrapped conflux_send_switch_command"

if [ "$kind" = trace ]; then
    wrapped="relay_decrypt_cell relay_msg_decode_cell_in_place relay_msg_encode_cell relay_encrypt_cell_outbound
        conflux_process_relay_msg conflux_dequeue_relay_msg circuit_read_valid_data"
    library=$folder/trace.o
    needs=
    ${CC:-cc} -O2 -g -DHAVE_CONFIG_H -I"$folder" -I"$folder/src" -I"$source/src" -I"$source/src/ext" \
        -I"$source/src/ext/trunnel" -I"$source/src/trunnel" -c "$here/trace.c" -o "$library.new" >"$folder/log" 2>&1 ||
        fail "trace.c does not compile"
    cmp -s "$library.new" "$library" || { cp "$library.new" "$library"; rm -f "$folder/$targets"; }
    rm "$library.new"
fi

# Says "is up to date" fast; only the first time takes minutes.
echo "tor: building $kind" >&2
set --
if [ -n "$library" ]; then
    # What configure has found stands there as well.
    found=$(sed -n 's/^LIBS = //p' "$folder/Makefile")
    # Tor links with -rdynamic, which keeps all that a program could offer to others: what the library exports is for
    # tor alone, so that the linker can leave out what tor never calls. Stock tor has the same size with these options.
    unused="-Wl,--gc-sections -Wl,--exclude-libs,$(basename "$library")"
    set -- LIBS="$(printf -- '-Wl,--wrap=%s ' $wrapped)$unused $library $needs $found"
    # In the test program it is a variable, so that tests can take its place.
    link='$(CCLD) $(AM_CFLAGS) $(CFLAGS) $(src_app_tor_LDFLAGS) $(LDFLAGS)'
    [ "$kind" = trace ] ||
        set -- "$@" src_app_tor_LINK="$link -Wl,--wrap=relay_send_command_from_edge_ -o \$@"
fi
unset MAKEFLAGS MFLAGS MAKELEVEL # What our make was given is not meant for tor's.
# What autotools made came with the source, and is taken as it is. By their times make would have it made anew in a copy
# or a clone, inside the source and by the one version of automake that it was made with.
for file in aclocal.m4 configure Makefile.in orconfig.h.in; do
    set -- "$@" -o "$source/$file"
done
(cd "$folder" && make -j"$jobs" "$@" $targets >log 2>&1) || fail "make failed"
