#!/bin/sh
# circflow beside a second Rust static library in one program: with link-time optimisation and without, first or last in
# the link line, in C and in C++, circflow as archive and as shared library. SECOND_RUSTC= compiles the second library by
# another rustc.
#
# usage: run.sh FOLDER ARCHIVE_OF_RUSTC ARCHIVE CHECKED_ARCHIVE [SHARED]
set -eu

out=$1
plain=$2
archive=$3
checked=$4
shared=${5:-}
here=$(dirname "$0")
mkdir -p "$out"

fail() {
    echo "check-beside: FAILED: $*" >&2
    exit 1
}

second=${SECOND_RUSTC:-rustc}
common="--edition 2021 --crate-type staticlib -O -C panic=unwind"
# shellcheck disable=SC2086
{
    $second $common -C lto=fat -o "$out/libsecond-lto.a" "$here/second.rs"
    $second $common -o "$out/libsecond-plain.a" "$here/second.rs"
}

# link PROGRAM FILES..: a host in C, or in C++ if the program's name ends so.
link() {
    program=$1
    shift
    # shellcheck disable=SC2086
    case $program in
    *c++) ${CXX:-c++} -std=c++11 -Wall -Wextra -Wpedantic -Werror -Iinclude -x c++ "$here/host.c" -x none "$@" \
        $NATIVE_LIBS -o "$program" ;;
    *) ${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude "$here/host.c" "$@" $NATIVE_LIBS -o "$program" ;;
    esac
}

count=0
# holds PROGRAM FILES..: it links, and does what it should.
holds() {
    link "$@" 2>"$out/log" || { head -n 5 "$out/log" >&2; fail "$* does not link"; }
    "$1" 2>"$out/log" || { cat "$out/log" >&2; fail "$* does not run"; }
    count=$((count + 1))
}

for kind in lto plain; do
    for language in c c++; do
        library=$out/libsecond-$kind.a
        program=$out/$kind-$language
        holds "$program" "$archive" "$library"
        holds "$program" "$library" "$archive"
        holds "$program" -Wl,--gc-sections "$library" "$archive"
        holds "$program" -DPANICS "$checked" "$library"
        holds "$program" -DPANICS "$library" "$checked"
        [ -z "$shared" ] || holds "$program" "$library" "$shared" "-Wl,-rpath,$(dirname "$(readlink -f "$shared")")"
    done
done

# What all this is for. If it links one day, capi/archive.sh has become needless.
! link "$out/both" "$plain" "$out/libsecond-lto.a" 2>"$out/log" ||
    fail "two archives as rustc makes them link: is capi/archive.sh still needed?"
grep -q -e 'multiple definition' -e 'duplicate symbol' "$out/log" || { cat "$out/log" >&2; fail "they fail, but not over their names"; }
echo "check-beside: OK, $count programs"
