#!/bin/sh
# setup.sh PACKAGE...: installs the Debian packages that are named: by itself where it may (root on Debian or Ubuntu), else
# it prints the one line to run. Does nothing, and needs no network, when all of them are there. A target of make names
# what it needs.
set -eu

missing=""
for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: cargo is missing. Install Rust 1.85 or later (rustup, or your distribution's package)." >&2
    exit 1
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: this is no Debian or Ubuntu. Install what these packages stand for:$missing" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "setup: packages are missing. Run:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y$missing" >&2
    exit 1
fi
echo "setup: installing$missing"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq$missing >/dev/null
