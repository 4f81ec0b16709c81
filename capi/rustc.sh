#!/bin/sh
# cargo runs this in place of rustc (RUSTC_WRAPPER), so that no path of this machine gets into the library, every folder
# gives the same bytes, and all crates have the same flags. A user's own RUSTFLAGS stay, which cargo's would replace.
set -eu

rustc=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$("$rustc" --print sysroot)
release=$("$rustc" --version --verbose | sed -n 's/^commit-hash: //p')

# Where two prefixes fit, the later one counts. Crates have one name, whether fetched or in a source archive.
set -- "$@" --remap-path-prefix "$root=/circflow" --remap-path-prefix "$root/vendor=/crates" \
    --remap-path-prefix "$home=/cargo" --remap-path-prefix "$sysroot=/rust" \
    --remap-path-prefix "$sysroot/lib/rustlib/src/rust=/rustc/$release"
for registry in "$home"/registry/src/*; do
    set -- "$@" --remap-path-prefix "$registry=/crates"
done
# What the user has set as a wrapper, as sccache.
# Fewer copies of functions: 4 % smaller, at the same speed.
set -- "$@" -C llvm-args=-inline-threshold=100
exec ${USERS_WRAPPER:+"$USERS_WRAPPER"} "$rustc" "$@"
