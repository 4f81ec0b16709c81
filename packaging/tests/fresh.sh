#!/bin/sh
# README's own commands on a machine where only a C compiler, git and Rust are: a fresh root, and a clone in it. Then the
# parts of `make check-package` that install. Each command is run as it stands on the page.
#
# usage: fresh.sh FOLDER CACHE
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$1" "$2"
out=$(cd "$1" && pwd)
cache=$(cd "$2" && pwd)
fresh=$out/root
log=$out/log
check=check-fresh
. "$root/packaging/root.sh"

leave() {
    umount "$fresh/proc" "$fresh/dev/shm" 2>/dev/null || true
}
trap leave EXIT
trap 'exit 1' HUP INT TERM

# block N: the lines of README's block number N for a shell, without comments.
block() {
    awk -v wanted="$1" '
        /^```sh/ { within = ++blocks == wanted; next }
        /^```/ { within = 0 }
        within { sub(/ +#.*/, ""); print }' "$root/README.md"
}

# user WORDS: what the new user types, in the clone.
user() {
    began=$(date +%s)
    quietly "$1" inside sh -c "cd /root/circflow && $1"
    echo "check-fresh: $1: $(($(date +%s) - began)) s"
}

leave
base=$cache/fresh-$(. /etc/os-release && echo "$VERSION_CODENAME").tar
if [ ! -s "$base" ]; then
    make_root gcc,libc6-dev,make,git,ca-certificates
    keep_root "$base"
fi
unpack_root "$base"
mount -t proc proc "$fresh/proc"
mount -t tmpfs tmpfs "$fresh/dev/shm"
# Rust, names and certificates are this machine's.
tar cf - -C "$(rustc --print sysroot)" --exclude=./share --exclude=./lib/rustlib/src . | tar xf - -C "$fresh/usr/local"
cp /etc/resolv.conf /etc/hosts "$fresh/etc/"
cp /etc/ssl/certs/ca-certificates.crt "$fresh/etc/ssl/certs/"
git -C "$root" bundle create --quiet "$fresh/root/bundle" HEAD
inside git -c advice.detachedHead=false clone --quiet /root/bundle /root/circflow

block 1 >"$out/commands"
[ "$(wc -l <"$out/commands")" = 2 ] || fail "README has other commands than two at first"
while read -r line; do user "$line" </dev/null; done <"$out/commands"

cp "$here/consumer.c" "$fresh/root/circflow/mine.c"
block 2 >"$fresh/root/circflow/install.sh"
user "sh -e install.sh"
[ "$(inside /root/circflow/mine)" = "it works" ] || fail "the program of README does not run"
inside rm /root/circflow/mine.c /root/circflow/mine /root/circflow/install.sh
user "make check-package PARTS='layouts merged denied'"
leave
rm -rf "$fresh"
echo "check-fresh: OK"
