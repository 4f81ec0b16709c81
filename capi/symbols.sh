#!/bin/sh
# Lists the names that a library gives to programs: global and defined. (Not by nm: in some builds it hands Rust's objects
# to a plugin, which fails.)
set -eu

case $1 in
*.a) table=--syms ;;
*) table=--dyn-syms ;;
esac
${READELF:-readelf} $table --wide "$1" 2>/dev/null |
    awk '$5 ~ /^(GLOBAL|WEAK|UNIQUE)$/ && $6 != "HIDDEN" && $7 != "UND" { sub(/@.*/, "", $8); print $8 }' | LC_ALL=C sort -u
