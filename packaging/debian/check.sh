#!/bin/sh
# What one who installs the Debian packages relies on, in a root of its own that debootstrap made: they install, work,
# and leave nothing when they go. Each part is a function below; PARTS="tor" runs some.
#
# usage: check.sh FOLDER_OF_PACKAGES CACHE
set -eu

packages=$(cd "$1" && pwd)
mkdir -p "$2"
cache=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
fresh=$packages/root
log=$packages/check.log

check=check-deb
. "$root/packaging/root.sh"

# Compiler, pkg-config, man, and Debian's tor: fetched once, and unpacked anew for each part.
make_base() {
    base=$cache/root-$(. /etc/os-release && echo "$VERSION_CODENAME").tar
    [ ! -s "$base" ] || return 0
    make_root gcc,libc6-dev,make,man-db,pkg-config
    apt install tor
    keep_root "$base"
}

new_root() {
    unpack_root "$base"
    mkdir "$fresh/packages" "$fresh/try"
    cp "$packages"/*.deb "$fresh/packages/"
}

# Each file of the root with its owner, mode and size, but for what apt, dpkg, ldconfig, man and a running tor write.
files() {
    find "$fresh" -xdev \( -path "$fresh/packages" -o -path "$fresh/try" -o -path "$fresh/var/lib/dpkg" \
        -o -path "$fresh/var/lib/apt" -o -path "$fresh/var/cache" -o -path "$fresh/var/log" -o -path "$fresh/var/lib/tor" \) -prune -o \
        ! -type d ! -name ld.so.cache -printf '%P %u %m %s %l\n' -o -type d -printf '%P %u %m\n' | LC_ALL=C sort
}

# The packages that are installed, diversions and alternatives.
state() {
    inside dpkg-query -W -f '${Package} ${Status}\n'
    inside dpkg-divert --list
    files
}

# file_of PACKAGE: as the fresh root sees it.
file_of() {
    set -- "$fresh/packages/$1"_*.deb
    [ $# = 1 ] && [ -f "$1" ] || fail "there is no one package $1"
    echo "${1#"$fresh"}"
}

# Rules of Debian, as far as they can be read off the packages. As these never went to Debian, they close no bug there.
rules() {
    for changes in "$packages"/*.changes; do
        quietly "lintian finds errors in $(basename "$changes")" \
            lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$changes"
    done
    echo "rules: lintian has nothing to say"
}

# builds WHAT PACKAGE_OF_PKG_CONFIG
builds() {
    cp "$root/packaging/tests/consumer.c" "$fresh/try/"
    quietly "a program, $1, does not build" inside sh -c "cd /try &&
        gcc -std=c99 -Wall -Wextra -Werror consumer.c -o $1 \$(pkg-config --cflags --libs $2)"
    [ "$(inside "/try/$1" 2>&1)" = "it works" ] || fail "a program, $1, does not run"
}

library() {
    new_root
    state >"$packages/before"
    apt install "$(file_of libcircflow0)" "$(file_of libcircflow-dev)" "$(file_of circflow-doc)"
    builds shared circflow
    builds static circflow-static
    if [ -n "$(find "$root/docs/man/man3" -name '*.3' 2>/dev/null)" ]; then
        inside man -P cat 3 circflow 2>/dev/null | grep -q circflow || fail "there is no man page"
    fi
    quietly "an example does not build" inside make -C /usr/share/doc/circflow/examples OUT=/try /try/hello
    inside /try/hello | diff - "$root/examples/hello.out" || fail "an example says something else"

    # Without the other two the shared library goes on serving, and the archive serves without any.
    apt purge libcircflow-dev circflow-doc
    [ "$(inside /try/shared)" = "it works" ] || fail "the shared library does not serve by itself"
    apt purge libcircflow0
    [ "$(inside /try/static)" = "it works" ] || fail "the static program needs the package"
    ! inside /try/shared >"$log" 2>&1 || fail "the shared library is still there"
    gone
    echo "library: built, shared and static, and run; nothing is left"
}

# All is as it was.
gone() {
    state >"$packages/after"
    diff "$packages/before" "$packages/after" >"$log" || { cat "$log" >&2; fail "something is left, or lost"; }
}

needed() {
    readelf --dynamic --wide "$fresh$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^libgcc_s\|^ld-linux' | sort
}

sum_of() {
    cksum <"$fresh$1"
}

# runs WHO WHAT OPTIONS..: a relay without a network, with the operator's keys, until it is stopped. WHO is stock or
# circflow, as its log says.
runs() {
    who=$1
    what=$2
    shift 2
    set -- --defaults-torrc /usr/share/tor/tor-service-defaults-torrc -f /etc/tor/torrc --RunAsDaemon 0 "$@"
    # As the service does.
    inside install -m 02755 -o debian-tor -g debian-tor -d /run/tor
    quietly "tor does not like its configuration $what" inside tor "$@" --verify-config
    said=$fresh/var/lib/tor/check.log
    inside tor "$@" --DisableNetwork 1 --Log "notice file /var/lib/tor/check.log" >"$log" 2>&1 &
    pid=$!
    tries=0
    while ! grep -q 'Delaying directory fetches: DisableNetwork' "$said" 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries = 60 ] || ! kill -0 $pid 2>/dev/null; then
            tail -n 30 "$log" "$said" >&2
            kill $pid 2>/dev/null || true
            fail "tor does not run $what"
        fi
        sleep 1
    done
    # In its sandbox tor blocks signals at random, the stock one as well: the sandbox refuses the C library's SIG_BLOCK.
    case "$*" in
    *--Sandbox*) kill -KILL "$(cat "$fresh/run/tor/tor.pid")" && wait $pid || true ;;
    *) kill "$(cat "$fresh/run/tor/tor.pid")" && wait $pid || fail "tor does not end well $what" ;;
    esac
    if grep -q 'circflow .* does conflux' "$said"; then is=circflow; else is=stock; fi
    [ $is = "$who" ] || fail "it is $is that runs $what"
    rm -rf "$said" "$fresh/run/tor"
}

is_circflow() {
    [ "$(sum_of /usr/bin/tor)" != "$stock" ] || fail "the program is the stock one $1"
    [ "$(sum_of /usr/bin/tor.stock)" = "$stock" ] || fail "the stock program is not aside $1"
    runs circflow "$1"
}

is_stock() {
    [ "$(sum_of /usr/bin/tor)" = "$stock" ] || fail "the stock program is not there $1"
    [ ! -e "$fresh/usr/bin/tor.stock" ] || fail "the stock program is aside $1"
    # But for the configuration, which is the operator's.
    ! inside dpkg --verify tor | grep -v ' c /etc/' || fail "the stock package is not whole $1"
    runs stock "$1"
}

# update_stock VERSION: the stock package with another number.
update_stock() {
    rm -rf "$packages/stock"
    dpkg-deb -R "$fresh"/var/cache/apt/archives/tor_*.deb "$packages/stock"
    sed -i "s/^Version: .*/Version: $1/" "$packages/stock/DEBIAN/control"
    quietly "the stock package is not packed" dpkg-deb -b "$packages/stock" "$fresh/packages/stock.deb"
    rm -rf "$packages/stock"
    quietly "an update of stock tor to $1" inside dpkg -i /packages/stock.deb
}

tor() {
    new_root
    # An operator's relay, whose keys stock tor makes.
    printf 'ORPort 127.0.0.1:9001\nNickname checked\nSocksPort 0\nExitRelay 0\n' >>"$fresh/etc/tor/torrc"
    stock=$(sum_of /usr/bin/tor)
    is_stock "before"
    cp "$fresh/var/lib/tor/fingerprint" "$packages/fingerprint"
    needed /usr/bin/tor >"$packages/needed"
    state >"$packages/before"

    apt install "$(file_of tor-circflow)"
    needed /usr/bin/tor | diff "$packages/needed" - || fail "it is not built as the stock program is: other libraries"
    is_circflow "after the install"
    runs circflow "in tor's sandbox" --Sandbox 1
    cmp "$packages/fingerprint" "$fresh/var/lib/tor/fingerprint" || fail "the relay has got another key"

    # An update of the stock package leaves it in its place, and is told. So does one of its own.
    update_stock 0.4.9.99-1
    grep -q 'tor-circflow: stock tor is 0.4.9.99 now' "$log" || fail "nobody says that stock tor is newer"
    is_circflow "after an update of stock tor"
    quietly "installing it again" inside dpkg -i "$(file_of tor-circflow)"
    is_circflow "after an update of its own"

    apt purge tor-circflow
    is_stock "after the removal"
    gone

    # Both at once, in the order that apt likes, and both go.
    apt purge tor
    apt install "$(file_of tor-circflow)"
    inside tor --version >"$log" || fail "it does not run when both come at once"
    [ -e "$fresh/usr/bin/tor.stock" ] || fail "the stock program did not step aside"
    apt purge tor tor-circflow
    [ -z "$(find "$fresh/usr/bin" -name 'tor' -o -name 'tor.stock')" ] || fail "a tor is left"
    ! inside dpkg-divert --list | grep -q circflow || fail "a diversion is left"
    echo "tor: a relay ran stock, with circflow (also in tor's sandbox), and stock again, with the same keys"
}

make_base
for part in ${PARTS:-rules library tor}; do
    $part
done
rm -rf "$fresh" "$packages/before" "$packages/after" "$packages/needed" "$packages/fingerprint"
echo "check-deb: OK"
