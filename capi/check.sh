#!/bin/sh
# What the libraries export, how large they are, and what else a packager looks at.
#
# usage: check.sh HEADER ARCHIVE CHECKED_ARCHIVE [SHARED]
set -eu

header=$1
archive=$2
checked=$3
shared=${4:-}
here=$(dirname "$0")
cc=${CC:-cc}
work=build/symbols
mkdir -p "$work"

fail() {
    echo "check-symbols: FAILED: $*" >&2
    exit 1
}

# same LIST NAME: it has the names that the repository lists.
same() {
    diff "$here/circflow.symbols" "$1" >"$work/diff" || {
        grep '^[<>]' "$work/diff" >&2
        fail "$2 and capi/circflow.symbols differ (<: the list has it). A name that went breaks programs. For new names:" \
            "make symbols"
    }
}

$cc -E -P "$header" | tr '\n' ' ' | grep -o 'circflow_[a-z0-9_]*(' | tr -d '(' | LC_ALL=C sort -u >"$work/declared"
same "$work/declared" "$header"
for library in "$archive" $shared; do
    "$here/symbols.sh" "$library" >"$work/exported"
    same "$work/exported" "$library"
done
"$here/symbols.sh" "$checked" | grep -v '^circflow_test_' >"$work/exported"
same "$work/exported" "$checked"

# Kilobytes of 1,000 bytes. docs/building.md has the figures; what is allowed is a little more.
archive_max=4500
stripped_max=2550
whole_max=1450
collected_max=1090
packages_max=60

kb() {
    echo $(($(wc -c <"$1") / 1000))
}

# at_most WHAT FILE LIMIT
at_most() {
    size=$(kb "$2")
    echo "$1: $size kB"
    [ "$size" -le "$3" ] || fail "$1 has $size kB, more than $3"
}

# program NAME LIMIT LIBRARY_AND_FLAGS: how large a stripped program is.
program() {
    name=$1
    limit=$2
    shift 2
    # shellcheck disable=SC2086
    $cc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 -Iinclude examples/hello.c "$@" $NATIVE_LIBS -o "$work/program"
    strip "$work/program"
    at_most "$name" "$work/program" "$limit"
}

cp "$archive" "$work/stripped.a"
strip --strip-unneeded "$work/stripped.a"
at_most "the archive" "$archive" "$archive_max"
at_most "the archive, stripped" "$work/stripped.a" "$stripped_max"
program "a small program, stripped" "$whole_max" "$archive"
program "the same with -Wl,--gc-sections" "$collected_max" "$archive" -Wl,--gc-sections

# What is compiled for it.
${CARGO:-cargo} tree --locked --package circflow-c --edges normal,build --prefix none --no-dedupe |
    sed 's/^\([^ ]* [^ ]*\).*/\1/' | sort -u >"$work/packages"
packages=$(wc -l <"$work/packages")
echo "packages to compile: $packages"
[ "$packages" -gt 10 ] && [ "$packages" -le "$packages_max" ] || fail "$packages packages, more than $packages_max"
for crate in $(sed 's/ .*//' "$work/packages" | grep -v '^circflow'); do
    grep -q "\`$crate\`" docs/dependencies.md || fail "docs/dependencies.md does not say what $crate is for"
done

# No folder of this machine, neither of the builder nor of the crates.
for library in "$archive" $shared; do
    for path in "$PWD" "${CARGO_HOME:-$HOME/.cargo}" "$(rustc --print sysroot)"; do
        ! LC_ALL=C grep -q -a -F "$path" "$library" || fail "$library has the path $path in it"
    done
done

# A tool that is not there or that fails: the archive of rustc as it is, with the reason, and nothing left behind.
for tool in OBJCOPY=false AR=false READELF=false OBJCOPY=/nowhere; do
    env "$tool" CC="$cc" "$here/archive.sh" "$archive" "$work/plain.a" 2>"$work/log" || fail "archive.sh fails with $tool"
    cmp "$archive" "$work/plain.a" || fail "archive.sh with $tool makes another archive"
    grep -q 'may not link beside' "$work/log" || fail "archive.sh with $tool gives no reason"
    [ ! -e "$work/plain.a.work" ] || fail "archive.sh with $tool leaves a folder"
done

[ -n "$shared" ] || exit 0
dynamic=$(readelf --dynamic --wide "$shared")
soname=$(echo "$dynamic" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
[ "$soname" = "$(basename "$shared" | cut -d . -f 1-3)" ] || fail "the SONAME is $soname"
[ "$(readlink -f "$(dirname "$shared")/$soname")" = "$(readlink -f "$shared")" ] || fail "$soname leads elsewhere"
! echo "$dynamic" | grep -q TEXTREL || fail "$shared has text relocations"
echo "$dynamic" | grep -q 'FLAGS.*NOW' || fail "$shared is bound lazily"
readelf --segments --wide "$shared" | grep -q GNU_RELRO || fail "$shared has no RELRO"
! readelf --segments --wide "$shared" | grep 'GNU_STACK' | grep -q 'E' || fail "$shared has an executable stack"
echo "check-symbols: OK, $(wc -l <"$here/circflow.symbols") names"
