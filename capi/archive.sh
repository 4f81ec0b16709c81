#!/bin/sh
# Makes the archive that is shipped of the one that rustc wrote: one object, in which everything but circflow_* is
# local. So a program can link a second Rust library, of any rustc: both bring Rust's standard library, and only one of
# them may have global names.
#
# usage: archive.sh IN OUT     with CC, OBJCOPY, READELF, AR as in a makefile
set -eu
export LC_ALL=C # sort and comm have to agree

in=$1
out=$2
cc=${CC:-cc}
objcopy=${OBJCOPY:-objcopy}
readelf=${READELF:-readelf}
ar=${AR:-ar}
work=$out.work
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# rustc's archive as it is: it works, but for a second Rust library.
plain() {
    echo "archive: $1." >&2
    echo "archive: so $out is the archive of rustc, which may not link beside a second Rust library; for that, use" \
        "the shared library" >&2
    cp "$in" "$out"
    exit 0
}

[ -s "$in" ] || { echo "archive: FAILED: there is no $in" >&2; exit 1; }
rm -rf "$work" "$out"
mkdir -p "$work"
for tool in "$objcopy" "$readelf"; do
    command -v "$tool" >/dev/null || plain "there is no $tool here"
done

# The global names that a file defines. (Not nm: in some builds it hands Rust's objects to a plugin, which fails.)
defined() {
    "$readelf" --syms --wide "$1" 2>/dev/null | awk '$5 ~ /GLOBAL|WEAK|UNIQUE/ && $7 != "UND" { print $8 }' | sort -u
}

# What C calls.
defined "$in" | grep '^circflow_' >"$work/exports" || plain "$readelf sees no function in $in"

# Their sections and what these need, in one object; groups dissolve, as they would be merged with a second library's.
# $cc has more than one word in some makefiles.
# shellcheck disable=SC2086
$cc -nostdlib -r -o "$work/all.o" -Wl,--gc-sections,--force-group-allocation $(sed 's/^/-Wl,-u,/' "$work/exports") \
    "$in" 2>"$work/log" || plain "this linker cannot make one object of it ($(head -n 1 "$work/log"))"

# Names that are defined here become local. Names that are wanted from libc stay, also the weak ones, which an old libc
# does not have. Those that nothing wants any more go, as objcopy would make strong ones of them. Bitcode goes: a program is
# linked without it, and ar and nm of some builds fail over it.
{ defined "$work/all.o" | grep -v '^circflow_' || true; } >"$work/locals"
"$readelf" --relocs --wide "$work/all.o" 2>/dev/null | awk 'NF > 4 { print $5 }' | sort -u >"$work/wanted"
"$readelf" --syms --wide "$work/all.o" 2>/dev/null | awk '$7 == "UND" && $8 { print $8 }' | sort -u |
    comm -23 - "$work/wanted" >"$work/left"
# objcopy takes no empty list.
echo circflow-no-name | tee -a "$work/locals" >>"$work/left"
# Each function and table has a section, so that a program takes only those that it needs; its long name is not needed a
# second time. What debuggers read is compressed; linkers unpack it.
"$readelf" --sections --wide "$work/all.o" 2>/dev/null | sed 's/^ *\[ *[0-9]*\] *//' |
    awk '$1 ~ /^\.[a-z].*\.(_[RZ]|\.L)/ && $1 !~ /^\.rela/ {
        short = $1; sub(/\.(_[RZ]|\.L).*/, "", short); print "--rename-section " $1 "=" short "." ++n }' >"$work/sections"
"$objcopy" --remove-section='.llvm*' --localize-symbols="$work/locals" --strip-symbols="$work/left" \
    --compress-debug-sections=zlib "@$work/sections" "$work/all.o" "$work/circflow.o" 2>"$work/log" ||
    plain "$objcopy cannot make its names local ($(head -n 1 "$work/log"))"

(cd "$work" && "$ar" rcsD libcircflow.a circflow.o) 2>"$work/log" ||
    plain "$ar cannot write it ($(head -n 1 "$work/log"))"
mv "$work/libcircflow.a" "$out"
