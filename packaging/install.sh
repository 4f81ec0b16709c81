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
trap 'rm -f "$made"' EXIT

fail() {
    echo "$what: FAILED: $*" >&2
    exit 1
}

# put MODE FILE FOLDER [NAME]: a file into a folder, or out of it.
put() {
    target=$DESTDIR$3/${4:-$(basename "$2")}
    if [ "$what" = uninstall ]; then
        rm -f "$target"
        return
    fi
    [ -s "$2" ] || fail "there is no $2, or nothing in it"
    install -d "$DESTDIR$3"
    install -m "$1" "$2" "$target"
}

# link NAME TO FOLDER
link() {
    if [ "$what" = uninstall ]; then rm -f "$DESTDIR$3/$1"; else ln -sf "$2" "$DESTDIR$3/$1"; fi
}

# A path as pkg-config files say it: from the prefix if it is below it.
from_prefix() {
    case $1 in
    "$PREFIX"/*) printf '${prefix}/%s' "${1#"$PREFIX"/}" ;;
    *) printf %s "$1" ;;
    esac
}

# The folder of headers as CMake finds it from its own file, so that the tree may be moved.
cmake_includedir() {
    case $LIBDIR:$INCLUDEDIR in
    "$PREFIX"/*:"$PREFIX"/*)
        up=$(printf %s "${LIBDIR#"$PREFIX"/}" | sed 's|[^/][^/]*|..|g')
        printf '${CMAKE_CURRENT_LIST_DIR}/../../%s/%s' "$up" "${INCLUDEDIR#"$PREFIX"/}"
        ;;
    *) printf %s "$INCLUDEDIR" ;;
    esac
}

# filled FILE FOLDER NAME NAME_OF_PACKAGE LIBS PRIVATE_LIBS: a template of this folder, with its places filled.
filled() {
    if [ "$what" = install ]; then
        sed -e "s|@PREFIX@|$PREFIX|g; s|@PC_LIBDIR@|$(from_prefix "$LIBDIR")|; s|@NAME@|$4|" \
            -e "s|@PC_INCLUDEDIR@|$(from_prefix "$INCLUDEDIR")|; s|@VERSION@|$VERSION|g" \
            -e "s|@MAJOR@|$major|g; s|@MINOR@|$minor|g; s|@SHARED_NAME@|$shared_name|g; s|@SONAME@|$SONAME|g" \
            -e "s|@CMAKE_INCLUDEDIR@|$(cmake_includedir)|; s|@CMAKE_NATIVE_LIBS@|$cmake_libs|" \
            -e "s|@PC_LIBS@|$5|; s|@PC_PRIVATE@|$6|" "packaging/$1" >"$made"
        sed -i.old 's/ *$//' "$made" && rm -f "$made.old"
    fi
    put 644 "$made" "$2" "$3"
}

# Flags of GNU ld and those that follow it, or Apple's: leave out what is not called; this archive and no other file.
collect=-Wl,--gc-sections
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

for file in README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$NOTICES" docs/*.md docs/*.svg; do
    case $file in
    docs/*) put 644 "$file" "$DOCDIR/docs" ;;
    *) put 644 "$file" "$DOCDIR" ;;
    esac
done
for file in examples/*.c examples/*.out; do
    put 644 "$file" "$DOCDIR/examples"
done
put 644 packaging/examples.mk "$DOCDIR/examples" Makefile
for file in examples/machines/*; do
    put 644 "$file" "$machines"
done

# Folders that are circflow's own; those of others stay.
if [ "$what" = uninstall ]; then
    for folder in "$cmake_dir" "$machines" "$DATADIR/circflow" "$DOCDIR/examples" "$DOCDIR/docs" "$DOCDIR"; do
        rmdir "$DESTDIR$folder" 2>/dev/null || true
    done
fi
