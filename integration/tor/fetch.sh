#!/bin/sh
# Prints the folder of tor's source. It comes as Debian's source package, through apt and from the machine's own apt
# sources, into a folder of ours: the system's apt sees nothing of it. TOR_SRC=path names a source folder instead.
#
# usage: fetch.sh CACHE_FOLDER
set -eu

say() { echo "tor: $*" >&2; }
fail() { say "$@"; exit 1; }

series=0.4.9

# The adapter knows the headers of one series of tor.
check_series() {
    [ -x "$1/configure" ] || fail "$1 is no source folder of tor: it has no configure"
    grep -q "^PACKAGE_VERSION='$series\." "$1/configure" ||
        fail "$1 is $(sed -n "s/^PACKAGE_STRING='\(.*\)'/\1/p" "$1/configure"); the adapter is for tor $series"
}

if [ -n "${TOR_SRC:-}" ]; then
    check_series "$TOR_SRC"
    cd "$TOR_SRC" && pwd
    exit 0
fi

mkdir -p "$1"
cache=$(cd "$1" && pwd)
source=$cache/source
if [ -f "$source/configure" ]; then
    check_series "$source"
    echo "$source"
    exit 0
fi

command -v apt-get >/dev/null 2>&1 || fail "no apt here; give a source folder: TOR_SRC=path"
command -v dpkg-source >/dev/null 2>&1 || fail "dpkg-source is missing; install dpkg-dev"

# A copy of the machine's apt sources that asks for source packages, and all of apt's state beside it.
apt=$cache/apt
rm -rf "$apt"
mkdir -p "$apt/sources.list.d" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/state"
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$list" ] || continue
    sed -nE 's/^[[:space:]]*deb(-src)?[[:space:]]/deb-src /p' "$list" >"$apt/sources.list.d/$(basename "$list")"
done
for list in /etc/apt/sources.list.d/*.sources; do
    [ -f "$list" ] || continue
    sed -E 's/^[Tt]ypes:.*/Types: deb-src/' "$list" >"$apt/sources.list.d/$(basename "$list")"
done
# Read after the machine's own configuration, which may have hooks that tidy the system's cache.
cat >"$apt/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/sources.list.d";
Dir::State "$apt/state";
Dir::State::lists "$apt/lists";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "$apt/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONF

say "asking this machine's apt sources for the source package"
apt-get -c "$apt/apt.conf" update >"$apt/log" 2>&1 || say "apt-get update complains, see $apt/log"
rm -rf "$cache/download"
mkdir -p "$cache/download"
(cd "$cache/download" && apt-get -c "$apt/apt.conf" source --download-only tor >>"$apt/log" 2>&1) ||
    fail "there is no source package here (see $apt/log); give a source folder: TOR_SRC=path"
# apt has compared the files with the signed index; the packager's key is not on every machine.
rm -rf "$cache/unpacking"
dpkg-source --no-check -x "$cache"/download/tor_*.dsc "$cache/unpacking" >>"$apt/log" 2>&1 ||
    fail "the source package does not unpack, see $apt/log"
check_series "$cache/unpacking"
mv "$cache/unpacking" "$source"
rm -rf "$apt" "$cache/download" "$cache"/tor_*.orig.tar.*
echo "$source"
