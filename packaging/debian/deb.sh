#!/bin/sh
# Makes Debian packages: circflow makes libcircflow0, libcircflow-dev and circflow-doc of the source archive of
# `make dist`; tor-circflow makes Debian's tor with circflow inside.
#
# usage: deb.sh circflow     VERSION FOLDER NOTICES ARCHIVE
#        deb.sh tor-circflow VERSION FOLDER NOTICES TOR_SOURCE TOR_BUILD "LIBRARIES THAT CIRCFLOW NEEDS"
set -eu

name=$1
version=$2
notices=$4
mkdir -p "$3"
out=$(cd "$3" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tree=$out/$name

fail() {
    [ ! -f "$out/$name.log" ] || tail -n 30 "$out/$name.log" >&2
    echo "deb: FAILED: $*" >&2
    exit 1
}

# changelog VERSION_OF_PACKAGE TEXT
changelog() {
    date=$(git -C "$root" log -1 --format=%cD 2>/dev/null || date -R)
    maintainer=$(sed -n 's/^Maintainer: //p' "$here/$name/control")
    printf '%s (%s) unstable; urgency=medium\n\n  * %s\n\n -- %s  %s\n' "$name" "$1" "$2" "$maintainer" "$date" \
        >"$tree/debian/changelog"
}

# The body of a field of debian/copyright: indented, with a dot on empty lines.
field() {
    sed 's/[[:space:]]*$//; s/^/ /; s/^ $/ ./'
}

# Debian wants no copy of the Apache License: each system has one.
without_apache() {
    awk '/^ *Apache License$/ { print "The Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0."; out = 1 }
        !out { print }
        /^ *END OF TERMS AND CONDITIONS/ { out = 0 }'
}

# What circflow and the crates in it ask for, as fields of debian/copyright. copyright NOTICES FILES_OF_CIRCFLOW
copyright() {
    printf 'Files: %s\nCopyright: 2026 The circflow authors\nLicense: Expat or Apache-2.0\n' "$2"
    { echo 'The Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0. Or:'; echo; cat "$root/LICENSE-MIT"; } | field
    printf '\nFiles: vendor/*\nCopyright: the authors of each crate, who are named in the texts below\nLicense: crates\n'
    without_apache <"$1" | field
}

# The files of the last build.
packages() {
    cat "$out/$name"_*.changes 2>/dev/null | sed -n '/^Files:/,$ s/.* \([^ ]*\.deb\)$/\1/p'
}

# Where rustup has its compilers, as debhelper calls everything with another home.
export RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}"
# What our make was given is not meant for others.
unset MAKEFLAGS MFLAGS MAKELEVEL PREFIX DESTDIR LIBDIR INCLUDEDIR DATADIR MANDIR DOCDIR BUILD LIB SHARED

(cd "$out" && rm -rf "$name" $(packages) "$name"_*)
mkdir -p "$tree"
format='Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n'
case $name in
circflow)
    tar xf "$5" -C "$tree" --strip-components=1
    cp -R "$here/circflow" "$tree/debian"
    changelog "$version-1" "CHANGELOG.md says what is new in $version."
    # The reference, where `make docs` was called.
    [ ! -d "$root/build/docs/html" ] || cp -R "$root/build/docs/html" "$tree/debian/"
    { printf "$format"; printf 'Upstream-Name: circflow\n\n'; copyright "$notices" '*'; } >"$tree/debian/copyright"
    ;;
tor-circflow)
    export CIRCFLOW="$root" TOR_SOURCE="$5" TOR_BUILD="$6" NATIVE_LIBS="$7"
    cp -R "$here/tor-circflow" "$tree/debian"
    tor=$(sed -n "s/^PACKAGE_VERSION='\(.*\)'/\1/p" "$TOR_SOURCE/configure")
    changelog "$tor+circflow$version" "Tor $tor with circflow $version."
    licence=$TOR_SOURCE/debian/copyright
    [ -f "$licence" ] || licence=$TOR_SOURCE/LICENSE
    {
        printf "$format"
        printf 'Upstream-Name: tor\n\nFiles: *\nCopyright: The Tor Project, Inc., and others\nLicense: tor\n'
        field <"$licence"
        echo
        copyright "$notices" 'src/core/or/conflux*'
    } >"$tree/debian/copyright"
    ;;
esac

# -d: Rust may be that of rustup, which dpkg does not know.
(cd "$tree" && dpkg-buildpackage -b -us -uc -d) >"$out/$name.log" 2>&1 || fail "dpkg-buildpackage, see $out/$name.log"
rm -rf "$tree"
for package in $(packages); do
    echo "deb: ${out#"$root/"}/$package, $(($(wc -c <"$out/$package") / 1000)) kB"
done
