#!/bin/sh
# Writes the licences of all crates that are in the library, each text once, and fails where a crate has none. It needs
# no network: cargo has the crates already, or they are in vendor/.
set -eu

fail() {
    echo "notices: FAILED: $*" >&2
    exit 1
}

home=${CARGO_HOME:-$HOME/.cargo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Name, version and licence of what is compiled in, but for our own. Macros run in the compiler, and are listed as well.
${CARGO:-cargo} tree --locked --package circflow-c --edges normal --prefix none --no-dedupe --format '{p}|{l}' |
    sed 's/ (proc-macro)//; s/^\([^ ]*\) v\([^ |]*\)/\1-\2/' | sort -u | grep -v '^circflow' >"$work/crates"
[ -s "$work/crates" ] || fail "cargo names no crate"

# The folder of a crate's source.
folder_of() {
    for folder in "vendor/$1" "$home"/registry/src/*/"$1"; do
        [ ! -d "$folder" ] || { echo "$folder"; return; }
    done
    fail "there is no source of $1: build the library first"
}

cat <<'TEXT'
circflow has these libraries in it. Where a library may be used under more than one licence, it is used under MIT if that
is among them. Rust's standard library is in it, too: copyright of the Rust project's contributors, MIT or Apache-2.0,
https://www.rust-lang.org/policies/licenses.

TEXT
while IFS='|' read -r crate licence; do
    folder=$(folder_of "$crate")
    echo "$crate: $licence"
    texts=$(find "$folder" -maxdepth 1 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'unlicense*' \) | sort)
    case $licence in
    *" AND "*) ;;
    # The name of the file, not that of a folder, or of a user.
    *MIT*) mit=$(echo "$texts" | grep -i 'mit[^/]*$' || true); [ -z "$mit" ] || texts=$mit ;;
    esac
    # Some crates of a family have the text at the top of their repository only.
    [ -n "$texts" ] || { echo "$crate" >>"$work/bare"; continue; }
    echo "$texts" | while read -r text; do
        sum=$(cksum <"$text" | tr ' ' -)
        cp "$text" "$work/text-$sum"
        echo "$crate" >>"$work/users-$sum"
    done
done <"$work/crates"

if [ -s "$work/bare" ]; then
    printf '\nThese come without a text of their own, and are under the MIT licence as it stands in LICENSE-MIT:\n'
    while read -r crate; do
        grep -q "^$crate|.*MIT" "$work/crates" || fail "$crate has no text of its licence"
        # One line, or a line for each author.
        authors=$(sed -n '/^authors = \[.*\]/p; t; /^authors = \[$/,/^\]/p' "$(folder_of "$crate")/Cargo.toml" |
            sed 's/^authors = //; s/^ *"/"/' | tr -d '\n[]"' | sed 's/,$//; s/>,/>, /g')
        echo "$crate, copyright of ${authors:-its authors}"
    done <"$work/bare"
fi
for text in "$work"/text-*; do
    printf '\n%s\n' "------------------------------------------------------------------------"
    sort -u "$work/users-${text#"$work/text-"}" | tr '\n' ' '
    printf '\n\n'
    cat "$text"
done
