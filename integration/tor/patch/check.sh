#!/bin/sh
# Applies the patch series to a fresh copy of tor's source, builds tor without and with --with-circflow, and runs all of
# tor's test program on both.
#
# usage: check.sh SOURCE PATCHES FOLDER PREFIX
#
# FOLDER gets `tor` (the source with the series), `off` and `on` (the two builds). PREFIX is where circflow is
# installed.
set -eu

source=$1
patches=$2
folder=$3
prefix=$4
here=$(cd "$(dirname "$0")" && pwd)
jobs=$(nproc 2>/dev/null || echo 2)
unset MAKEFLAGS MFLAGS MAKELEVEL
unset CIRCFLOW_ALGORITHM CIRCFLOW_TOR_PADDING_CLIENT CIRCFLOW_TOR_PADDING_RELAY CIRCFLOW_TRACE

say() { echo "tor-patch: $*" >&2; }
# What the log says last, too.
fail() {
    [ ! -f "${2:-}" ] || tail -n 30 "$2" >&2
    say "FAILED: $1${2:+, see $2}"
    exit 1
}

# Applied to a fresh copy each time. The builds are of a copy that follows it, in which git writes only what has
# changed.
"$here/series.py" base "$source" "$folder/fresh"
say "applying the series with git am"
git -C "$folder/fresh" -c user.name=circflow -c user.email=circflow@packages.invalid am --quiet --whitespace=error \
    "$patches"/*.patch >"$folder/am.log" 2>&1 || fail "git am" "$folder/am.log"
if [ "$(cat "$folder/for" 2>/dev/null)" != "$source" ]; then
    rm -rf "$folder/tor" "$folder/off" "$folder/on"
    git clone --quiet "$folder/fresh" "$folder/tor"
    echo "$source" >"$folder/for"
fi
git -C "$folder/tor" fetch --quiet "$folder/fresh" HEAD
git -C "$folder/tor" reset --quiet --hard FETCH_HEAD
if [ ! -f "$folder/tor/configure" ] || [ -n "$(cd "$folder/tor" && find . -newer configure \
    '(' -name '*.am' -o -name 'configure.ac' -o -path './m4/*' -o -name acinclude.m4 ')')" ]; then
    say "autoreconf"
    (cd "$folder/tor" && autoreconf --install --warnings=none) >"$folder/autoreconf.log" 2>&1 ||
        fail "autoreconf" "$folder/autoreconf.log"
    touch "$folder/tor/configure"
fi

# Tor's own check of C files, for those of ours.
git -C "$folder/tor" diff --name-only --diff-filter=A "HEAD~$(ls "$patches" | wc -l)" -- '*.c' '*.h' >"$folder/ours"
(cd "$folder/tor" && xargs perl scripts/maint/checkSpace.pl -C <"$folder/ours") >"$folder/spaces.log" 2>&1 ||
    fail "checkSpace.pl does not run" "$folder/spaces.log"
[ ! -s "$folder/spaces.log" ] || fail "checkSpace.pl of tor's finds something" "$folder/spaces.log"

# build NAME OPTION..: configures and builds one of the two.
build() {
    out=$folder/$1
    name=$1
    shift
    mkdir -p "$out"
    if [ ! -f "$out/Makefile" ]; then
        say "configuring: $name"
        (cd "$out" && "$folder/tor/configure" --disable-asciidoc --disable-manpage --disable-html-manual \
            --disable-systemd --disable-lzma --disable-zstd --disable-seccomp "$@" >configure.log 2>&1) ||
            fail "configure $*" "$out/configure.log"
    fi
    say "building: $name"
    # make does not know that the programs depend on the library.
    for program in src/app/tor src/test/test; do
        [ ! "$prefix/lib/libcircflow.a" -nt "$out/$program" ] || rm -f "$out/$program"
    done
    (cd "$out" && make -j"$jobs" src/app/tor src/tools/tor-gencert src/test/test >make.log 2>&1) ||
        fail "make: $name" "$out/make.log"
    ! grep -E '(core/circflow/[^ /]*|circflow[^ /]*|seam_[^ /]*)[.][ch]:[0-9]+:.*warning:' "$out/make.log" >&2 ||
        fail "the compiler warns of files of the series" "$out/make.log"
}

build off
build on --with-circflow="$prefix"

for program in src/app/tor src/test/test; do
    ! nm "$folder/off/$program" | grep -q ' circflow_circuit_receive$' || fail "circflow is in $folder/off/$program"
    nm "$folder/on/$program" | grep -q ' circflow_circuit_receive$' || fail "no circflow in $folder/on/$program"
done

# Tor's own programs of both builds, and what they say of options.
"$here/options.sh" "$folder" "$here/../../../examples/machines"

# All tests: the exit status says whether any has failed.
for name in off on; do
    say "running all of tor's tests: $name"
    status=0
    (cd "$folder/$name" && timeout 1800 ./src/test/test) >"$folder/$name/tests.log" 2>&1 || status=$?
    echo "$status" >"$folder/$name/tests.status"
done
"$here/compare.py" "$folder/off/tests.log" "$folder/on/tests.log"
