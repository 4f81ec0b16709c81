# A fresh root of this machine's own distribution, made by debootstrap. Sourced by scripts that set `check` (their name),
# `fresh` (the root's folder), `log` and `cache`.

if [ "$(id -u)" != 0 ]; then
    echo "$check: left out, as only root can make a root"
    exit 0
fi

fail() {
    echo "$check: FAILED: $*" >&2
    exit 1
}

# inside COMMAND..: in the fresh root, as its root.
inside() {
    env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive \
        chroot "$fresh" "$@"
}

# quietly WHAT COMMAND..: its output is shown only if it fails.
quietly() {
    what=$1
    shift
    "$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2; fail "$what"; }
}

apt() {
    what="apt-get $*"
    quietly "$what" inside apt-get -qq -y --no-install-recommends "$@"
}

# This machine's apt sources of its own distribution, as lines: URI SUITE COMPONENT.
sources() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        sed -nE 's/^(Debian|Ubuntu) //p' | sort -u
}

# make_root PACKAGES: the smallest system, with these besides. PACKAGES: with commas.
make_root() {
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(sources | awk -v suite="$suite" '$2 == suite { print $1; exit }')
    [ -n "$mirror" ] || fail "apt here has no source for $suite"
    echo "$check: making a root of $suite"
    rm -rf "$fresh"
    quietly debootstrap debootstrap --variant=minbase "--include=$1" "$suite" "$fresh" "$mirror"
    sources | sed 's/^/deb /' >"$fresh/etc/apt/sources.list"
    # Nothing starts.
    printf '#!/bin/sh\nexit 101\n' >"$fresh/usr/sbin/policy-rc.d"
    chmod 755 "$fresh/usr/sbin/policy-rc.d"
    apt update
}

# Keeps the root as FILE.
keep_root() {
    mkdir -p "$(dirname "$1")"
    tar cf "$1.part" -C "$fresh" .
    mv "$1.part" "$1"
}

# A new root, as FILE has it.
unpack_root() {
    rm -rf "$fresh"
    mkdir -p "$fresh"
    tar xf "$1" -C "$fresh"
    # Some scripts want to know what is mounted.
    : >"$fresh/etc/mtab"
}
