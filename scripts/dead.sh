#!/bin/sh
# Nothing in src is there for tests and benches alone: the crate is checked once more with its modules private, so that
# the compiler names what no function of C leads to. What tests look at says so: #[allow(dead_code, reason = "..")].
set -eu

cargo=${CARGO:-cargo}
copy=build/dead
mkdir -p "$copy"
rm -rf "$copy/src"
cp -R src build.rs README.md Cargo.lock "$copy"
# Without the packages beside it, and what only tests need.
sed '/^\[workspace\]/,/^members/d; /^\[\[bench\]\]/,/^harness/d' Cargo.toml >"$copy/Cargo.toml"
echo '[workspace]' >>"$copy/Cargo.toml"
sed 's/^pub mod \([a-z]*\);/mod \1;/; s/^mod ffi;/pub mod ffi;/' src/lib.rs >"$copy/src/lib.rs"
found=$("$cargo" check --quiet --lib --message-format short --manifest-path "$copy/Cargo.toml" --target-dir target 2>&1 |
    grep -E 'never (used|read|constructed)|^error' || true)
if [ -n "$found" ]; then
    echo "$found" >&2
    echo "check-dead: FAILED" >&2
    exit 1
fi
echo "check-dead: OK"
