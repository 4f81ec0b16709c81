#!/bin/sh
# Lists the global functions with C names in our own members of a static library (circflow-*.o) that do not begin with
# circflow_: there should be none, as each would be a name taken from every program that links the library. Rust's own
# names are mangled (_R, _ZN) or reserved (__rust, rust_).
set -eu

readelf --syms --wide "$1" 2>/dev/null | awk '
    /^File: / { ours = index($0, "(circflow-") > 0 }
    ours && $4 == "FUNC" && $5 == "GLOBAL" && $6 == "DEFAULT" && $7 != "UND" { print $8 }' |
    grep -v -e '^circflow_' -e '^_R' -e '^_ZN' -e '^__rust' -e '^rust_' | sort -u || true
