#!/bin/sh
# check.sh FOLDER: mandoc and groff find nothing wrong with the man pages, no line is wider than a terminal of 80
# columns, no name is broken at the end of a line, and `man` finds each page, function and type when they are installed.
# FOLDER is for the installation.
set -eu

fail() {
    echo "check-docs: FAILED: $*" >&2
    exit 1
}

mandoc -T lint docs/man/man3/*.3 || fail "mandoc has found something"
for page in docs/man/man3/*.3; do
    said=$(groff -t -man -Tutf8 -rLL=78n -ww "$page" 2>&1 >/dev/null)
    [ -z "$said" ] || fail "groff: $said"
    for reader in "mandoc -T utf8 -O width=78" "groff -t -man -Tutf8 -rLL=78n -P-cbou"; do
        wide=$($reader "$page" | col -bx | awk 'length > 80')
        [ -z "$wide" ] || fail "$page is too wide with $reader: $wide"
    done
    # A hyphen that was put in is U+2010.
    ! groff -t -man -Tutf8 -rLL=78n -P-cbou "$page" | grep "$(printf '\342\200\220')\$" || fail "$page has broken words"
done

# A folder with a blank, as DESTDIR may have one.
root="$(realpath "$1")/with blank"
make --no-print-directory install-man DESTDIR="$root" PREFIX=/usr MANDIR=/usr/share/man >/dev/null
export MANPATH="$root/usr/share/man"
mandb --quiet --create --user-db "$MANPATH" 2>/dev/null || true
count=0
for name in circflow $(cut -d ' ' -f 1 docs/man/links); do
    man -w 3 "$name" >/dev/null 2>&1 || fail "man does not find $name"
    count=$((count + 1))
done
[ "$count" -gt 150 ] || fail "only $count names"
whatis -s 3 circflow_engine_new | grep -q 'one event loop' || fail "whatis does not know circflow_engine_new"
make --no-print-directory uninstall-man DESTDIR="$root" PREFIX=/usr MANDIR=/usr/share/man
left=$(find "$root" -name 'circflow*')
[ -z "$left" ] || fail "uninstall-man leaves $left"
echo "man pages: $count names found"
