#!/bin/sh
# Installs circflow, or removes what it has installed: one list serves both. `make install` sets the variables.
#
# usage: install.sh install|uninstall
set -eu

what=$1
major=${VERSION%%.*}
rest=${VERSION#*.}
minor=${rest%%.*}
shared_name=$(basename "${SHARED:-none}")
cmake_dir=$LIBDIR/cmake/circflow
machines=$DATADIR/circflow/machines
made=$(mktemp)
places=$(mktemp)
pages=$(mktemp)
trap 'rm -f "$made" "$places" "$pages"' EXIT

fail() {
    echo "$what: FAILED: $*" >&2
    exit 1
}

# Before anything is written. Files that are installed name the folders, so each has one name, which needs no quotes.
for folder in "$PREFIX" "$LIBDIR" "$INCLUDEDIR" "$DATADIR" "$MANDIR" "$DOCDIR"; do
    case $folder in
    [!/]* | "") fail "the folder '$folder' does not start with /" ;;
    */../* | */.. | */./* | */.) fail "the folder '$folder' has . or .. in it" ;;
    *[\'\"\\\$\;\#]*) fail "the folder '$folder' has one of ' \" \\ \$ ; # in it" ;;
    esac
done

for folder in "$LIBDIR" "$INCLUDEDIR" "$DATADIR" "$MANDIR" "$DOCDIR"; do
    above=$DESTDIR$folder
    while [ ! -e "$above" ]; do above=$(dirname "$above"); done
    [ -w "$above" ] || fail "you may not write to $above: take a folder of yours (make $what PREFIX=\$HOME/.local)," \
        "or do it as root"
done

# put MODE FILE FOLDER [NAME]: a file into a folder, or out of it.
put() {
    target=$DESTDIR$3/${4:-$(basename "$2")}
    if [ "$what" = uninstall ]; then
        rm -f "$target"
        return
    fi
    [ -s "$2" ] || fail "there is no $2, or nothing in it"
    install -d "$DESTDIR$3" || fail "there is no folder $DESTDIR$3, and it cannot be made"
    install -m "$1" "$2" "$target"
}

# link NAME TO FOLDER
link() {
    if [ "$what" = uninstall ]; then rm -f "$DESTDIR$3/$1"; else ln -sf "$2" "$DESTDIR$3/$1"; fi
}

# A path as pkg-config files say it: from the prefix if it is below it, and with \ before spaces.
pc_path() {
    case $1 in
    "$PREFIX"/*) set -- '${prefix}/' "${1#"$PREFIX"/}" ;;
    *) set -- "" "$1" ;;
    esac
    printf %s "$1$2" | sed 's/ /\\ /g'
}

# The folder of headers as CMake finds it from its own file, so that the tree may be moved.
cmake_includedir() {
    case $LIBDIR:$INCLUDEDIR in
    "$PREFIX"/*:"$PREFIX"/*)
        up=$(printf %s "${LIBDIR#"$PREFIX"/}" | sed 's|[^/][^/]*|..|g')
        printf '${_circflow_lib}/%s/%s' "$up" "${INCLUDEDIR#"$PREFIX"/}"
        ;;
    *) printf %s "$INCLUDEDIR" ;;
    esac
}

# place NAME VALUE: a line for sed, by which the value stands in place of @NAME@.
place() {
    printf 's|@%s@|%s|g\n' "$1" "$(printf %s "$2" | sed 's/[&|\\]/\\&/g')"
}

# filled FILE FOLDER NAME NAME_OF_PACKAGE LIBS PRIVATE_LIBS: a template of this folder, with its places filled.
filled() {
    if [ "$what" = install ]; then
        {
            place PREFIX "$(pc_path "$PREFIX")"
            place PC_LIBDIR "$(pc_path "$LIBDIR")"
            place PC_INCLUDEDIR "$(pc_path "$INCLUDEDIR")"
            place NAME "$4"
            place PC_LIBS "$5"
            place PC_PRIVATE "$6"
            place CMAKE_INCLUDEDIR "$(cmake_includedir)"
            place CMAKE_NATIVE_LIBS "$cmake_libs"
            place VERSION "$VERSION"
            place MAJOR "$major"
            place MINOR "$minor"
            place SHARED_NAME "$shared_name"
            place SONAME "$SONAME"
            echo 's/ *$//'
        } >"$places"
        sed -f "$places" "packaging/$1" >"$made"
    fi
    put 644 "$made" "$2" "$3"
}

# Flags of GNU ld and those that follow it, or Apple's: leave out what is not called, also in a program with -rdynamic,
# which would offer all of it to others; this archive and no other file.
collect=-Wl,--gc-sections,--exclude-libs,libcircflow.a
archive='-L${libdir} -l:libcircflow.a'
if [ "$(uname -s)" = Darwin ]; then
    collect=-Wl,-dead_strip
    archive='${libdir}/libcircflow.a'
fi
native="$collect ${NATIVE_LIBS:-}"
cmake_libs=$(printf %s "$native" | tr -s ' ' ';')
[ "$what" = uninstall ] || [ -n "${NATIVE_LIBS:-}" ] || fail "rustc did not say what the archive needs"

put 644 include/circflow.h "$INCLUDEDIR"
put 644 "$LIB" "$LIBDIR"
if [ -n "${SHARED:-}" ]; then
    put 755 "$SHARED" "$LIBDIR"
    link "$SONAME" "$shared_name" "$LIBDIR"
    link libcircflow.so "$SONAME" "$LIBDIR"
    filled circflow.pc.in "$LIBDIR/pkgconfig" circflow.pc circflow '-L${libdir} -lcircflow' "$native"
else
    filled circflow.pc.in "$LIBDIR/pkgconfig" circflow.pc circflow "-L\${libdir} -lcircflow $native" ""
fi
filled circflow.pc.in "$LIBDIR/pkgconfig" circflow-static.pc circflow-static "$archive $native" ""
filled circflow-config.cmake.in "$cmake_dir" circflow-config.cmake "" "" ""
filled circflow-config-version.cmake.in "$cmake_dir" circflow-config-version.cmake "" "" ""

# Pages as they are installed, below DOCDIR.
notes="README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE"
printf '%s\n' $notes docs/*.md docs/*.svg examples/*.c examples/*.out >"$pages"
for file in $notes docs/*.md docs/*.svg; do
    to=$DOCDIR folder=
    case $file in docs/*) to=$DOCDIR/docs folder=docs ;; esac
    case $file in
    *.md)
        [ "$what" = uninstall ] || awk -v "folder=$folder" -f packaging/links.awk "$pages" "$file" >"$made"
        put 644 "$made" "$to" "$(basename "$file")"
        ;;
    *) put 644 "$file" "$to" ;;
    esac
done
put 644 "$NOTICES" "$DOCDIR"
for file in examples/*.c examples/*.out; do
    put 644 "$file" "$DOCDIR/examples"
done
put 644 packaging/examples.mk "$DOCDIR/examples" Makefile
for file in examples/machines/*; do
    put 644 "$file" "$machines"
done

# In the system itself, programs find a shared library by a list that root renews.
if [ -z "$DESTDIR" ] && [ "$(id -u)" = 0 ] && command -v ldconfig >/dev/null; then
    ldconfig 2>/dev/null || true
fi

# Folders that are circflow's own; those of others stay.
if [ "$what" = uninstall ]; then
    for folder in "$cmake_dir" "$machines" "$DATADIR/circflow" "$DOCDIR/examples" "$DOCDIR/docs" "$DOCDIR"; do
        rmdir "$DESTDIR$folder" 2>/dev/null || true
    done
fi

if [ "$what" = install ]; then
    echo "installed: $DESTDIR$LIBDIR/libcircflow.*, $DESTDIR$INCLUDEDIR/circflow.h; begin with" \
        "$DESTDIR$DOCDIR/docs/guide.md"
fi
