#!/bin/sh
# Makes a source archive that builds without a network: the library, its header, examples and pages, and in vendor/ the
# crates that the library is made of. What tests, benches, simulation and fuzzers need is not in it.
#
# usage: dist.sh VERSION FOLDER
set -eu

version=$1
out=$2
name=circflow-$version
tree=$out/dist/$name
cargo=${CARGO:-cargo}

rm -rf "$out/dist"
mkdir -p "$tree"
git ls-files -z -- Makefile README.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md 'LICENSE-*' Cargo.lock src \
    include capi packaging docs scripts examples ':!packaging/debian' | xargs -0 tar cf - | tar xf - -C "$tree"

# The manifest without what only developers need.
awk '
    /^\[/ { out = /^\[(dev-dependencies|build-dependencies|\[bench|target|profile\.(dev|sim))/ }
    /^header = / { next }
    /^members = / { print "members = [\"capi\"]"; next }
    !out && !/^#/ { print }' Cargo.toml >"$tree/Cargo.toml"

# The lock file loses what went, and keeps its versions. The first time, crates of other systems are fetched.
(cd "$tree" && "$cargo" update --quiet --workspace --offline)
(cd "$tree" && "$cargo" vendor --quiet --locked --versioned-dirs vendor >/dev/null)
mkdir -p "$tree/.cargo"
cat >"$tree/.cargo/config.toml" <<'TOML'
[source.crates-io]
replace-with = "vendor"

[source.vendor]
directory = "vendor"
TOML

# The same bytes each time: the date is that of the last commit.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" --format=gnu \
    -cf "$out/$name.tar" -C "$out/dist" "$name"
gzip -9 -n -f "$out/$name.tar"
rm -rf "$out/dist"
echo "dist: $out/$name.tar.gz"
