#!/bin/sh
# What a packager and a user of the installed library rely on. Each part is a function below; `make check-package` runs
# all of them, PARTS="layouts musl" some.
#
# usage: run.sh FOLDER     with MAKE, CC, CXX, VERSION
set -eu

[ "${1#/}" != "$1" ] || { echo "usage: run.sh /FOLDER" >&2; exit 2; }
out=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
make=${MAKE:-make}
cc=${CC:-cc}
cxx=${CXX:-c++}
strict="-Wall -Wextra -Wpedantic -Werror"
musl=x86_64-unknown-linux-musl
# A make in a make would hand its variables on.
unset MAKEFLAGS MFLAGS MAKELEVEL PREFIX DESTDIR LIBDIR INCLUDEDIR DATADIR MANDIR DOCDIR

fail() {
    echo "check-package: FAILED: $*" >&2
    exit 1
}

# quietly WHAT COMMAND..: its output is shown only if it fails.
quietly() {
    what=$1
    shift
    "$@" >"$out/log" 2>&1 || { tail -n 30 "$out/log" >&2; fail "$what"; }
}

# works WHAT PROGRAM FOLDER_OF_SHARED_LIBRARY
works() {
    [ "$(LD_LIBRARY_PATH=$3 "$2" 2>&1)" = "it works" ] || fail "$1 does not run"
    programs=$((programs + 1))
}

# is_shared WHAT PROGRAM, is_static WHAT PROGRAM: which library it has got.
is_shared() {
    readelf --dynamic --wide "$2" | grep -q 'NEEDED.*libcircflow\.so' || fail "$1 is not linked with the shared library"
}
is_static() {
    ! readelf --dynamic --wide "$2" | grep -q 'NEEDED.*libcircflow' || fail "$1 is not linked with the archive"
}

# by_hand WHAT COMPILER INCLUDEDIR LIBDIR: without any help but docs/building.md.
by_hand() {
    compiler=$2
    for flags in "-lcircflow" "-l:libcircflow.a -Wl,--gc-sections $(cat "$root"/target/native-libs)"; do
        # shellcheck disable=SC2086
        quietly "$1 does not build" $compiler $strict "-I$3" "$here/consumer.c" -x none -o "$out/program" "-L$4" $flags
        case $flags in *.a*) is_static "$1" "$out/program" ;; *) is_shared "$1" "$out/program" ;; esac
        works "$1" "$out/program" "$4"
    done
}

# by_pkg_config WHAT PACKAGE_AND_OPTIONS SHARED_OR_STATIC LIBDIR
by_pkg_config() {
    flags=$(pkg-config --cflags --libs $2) || fail "$1: pkg-config does not find it"
    # eval, as pkg-config quotes what has spaces.
    eval "quietly '$1 does not build' $cc -std=c99 $strict '$here/consumer.c' -o '$out/program' $flags"
    "is_$3" "$1" "$out/program"
    works "$1" "$out/program" "$4"
}

# links FOLDER: each link of its pages leads to a file there, or to a page of the net.
links() {
    find "$1" -name '*.md' >"$out/pages"
    while read -r page; do
        sed 's/](/\n](/g' "$page" | sed -nE 's/^\]\(([^)#]*).*/\1/p' | sort -u >"$out/links"
        while read -r link; do
            case $link in "" | http*) continue ;; esac
            [ -e "$(dirname "$page")/$link" ] || fail "$page has a link to $link, which is not installed"
            followed=$((followed + 1))
        done <"$out/links"
    done <"$out/pages"
}

# layout NAME DESTDIR PREFIX LIBDIR INCLUDEDIR
layout() {
    programs=0 followed=0
    name=$1 destdir=$2 tree=$2$3 lib=$2$4 include=$2$5
    set -- "DESTDIR=$2" "PREFIX=$3" "LIBDIR=$4" "INCLUDEDIR=$5"
    rm -rf "${destdir:-$tree}"
    quietly "make install ($name)" "$make" -C "$root" install "$@"
    for file in "$lib/libcircflow.a" "$lib/libcircflow.so.$VERSION" "$include/circflow.h" \
        "$tree/share/doc/circflow/THIRD-PARTY.txt" "$tree/share/circflow/machines/constant-rate.txt"; do
        [ -s "$file" ] || fail "$name: there is no $file"
    done

    links "$tree/share/doc/circflow"
    by_hand "$name, C99" "$cc -std=c99 -x c" "$include" "$lib"
    by_hand "$name, C++11" "$cxx -std=c++11 -x c++" "$include" "$lib"

    # In a root of its own, /usr/include is not the one that the compiler looks into. pkg-config itself takes no spaces.
    rm -f "$out/root"
    ln -s "${destdir:-/}" "$out/root"
    sysroot=${destdir:+$out/root}
    export PKG_CONFIG_PATH="$sysroot${lib#"$destdir"}/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$sysroot" \
        PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
    by_pkg_config "$name, pkg-config" circflow shared "$lib"
    by_pkg_config "$name, pkg-config --static" "--static circflow" shared "$lib"
    by_pkg_config "$name, pkg-config, the archive" circflow-static static "$lib"

    rm -rf "$out/cmake"
    quietly "$name: cmake does not find it" cmake -S "$here" -B "$out/cmake" "-DCMAKE_PREFIX_PATH=$tree" \
        "-Dcircflow_DIR=$lib/cmake/circflow"
    quietly "$name: cmake does not build it" cmake --build "$out/cmake"
    is_shared "$name, CMake" "$out/cmake/cmake-shared"
    is_static "$name, CMake" "$out/cmake/cmake-static"
    works "$name, CMake" "$out/cmake/cmake-shared" "$lib"
    works "$name, CMake, the archive" "$out/cmake/cmake-static" ""

    for static in "" 1; do
        rm -rf "$out/examples"
        quietly "$name: the examples do not build" "$make" -C "$tree/share/doc/circflow/examples" \
            "OUT=$out/examples" STATIC=$static
        LD_LIBRARY_PATH=$lib "$out/examples/hello" | diff - "$root/examples/hello.out" ||
            fail "$name: an example says something else"
    done
    unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR

    quietly "make uninstall ($name)" "$make" -C "$root" uninstall "$@"
    left=$(find "${destdir:-$tree}" ! -type d)
    [ -z "$left" ] || fail "$name: make uninstall leaves $left"
    [ -z "$(find "$tree" -mindepth 1 -name '*circflow*')" ] || fail "$name: make uninstall leaves folders of circflow"
    [ "$followed" -ge 40 ] || fail "$name: only $followed links in its pages"
    echo "$name: $programs programs, $followed links in its pages"
}

layouts() {
    layout "odd names" "" "$out/this & that" "$out/this & that/lib" "$out/this & that/in clude"
    layout "a root with a space" "$out/a root" /usr "/usr/lib/$($cc -dumpmachine)" /usr/include
    layout "a home" "" "$out/home/.local" "$out/home/.local/lib" "$out/home/.local/include"
    layout "a folder of its own" "$out/root of opt" /opt/circflow /opt/circflow/lib64 /opt/circflow/headers
}

# /lib leads to /usr/lib, as in most distributions, and CMake looks into /lib.
merged() {
    rm -rf "$out/merged" "$out/cmake"
    mkdir -p "$out/merged/usr/lib"
    ln -s usr/lib "$out/merged/lib"
    quietly "make install (merged)" "$make" -C "$root" install "DESTDIR=$out/merged" PREFIX=/usr
    quietly "merged: cmake does not find it" cmake -S "$here" -B "$out/cmake" "-Dcircflow_DIR=$out/merged/lib/cmake/circflow"
    quietly "merged: cmake does not build it" cmake --build "$out/cmake"
    programs=0
    works "merged" "$out/cmake/cmake-shared" "$out/merged/lib"
    works "merged, the archive" "$out/cmake/cmake-static" ""
    echo "merged: CMake finds the header behind a link"
}

# Folders that installed files cannot name: nothing is written.
folders() {
    rm -rf "$out/refused"
    for folder in PREFIX=usr LIBDIR=lib INCLUDEDIR=include DATADIR=share MANDIR=man DOCDIR= LIBDIR=/usr/x/../lib \
        PREFIX=/usr/.. DATADIR=/usr/./share "PREFIX=/it's" 'INCLUDEDIR=/a"b' 'LIBDIR=/a;b' 'PREFIX=/a\b' 'PREFIX=/a#b'; do
        ! "$make" -C "$root" install "DESTDIR=$out/refused" "$folder" >"$out/log" 2>&1 || fail "$folder was taken"
        grep -q 'install: FAILED: the folder' "$out/log" || fail "$folder: $(cat "$out/log")"
        [ ! -e "$out/refused" ] || fail "$folder: something was written"
    done
    echo "folders: those that cannot be named are refused"
}

# Who may not write there is told what to do, before anything is written.
denied() {
    # In /tmp, as the user that root becomes may not even see a home.
    as="" folder=$(mktemp -d)
    [ "$(id -u)" != 0 ] || as="setpriv --reuid=65534 --clear-groups"
    chmod 555 "$folder"
    ! (cd / && what=x PREFIX="$folder/usr" DESTDIR="" LIBDIR="$folder/usr/lib" DATADIR="$folder/usr/share" \
        INCLUDEDIR="$folder/usr/include" MANDIR="$folder/usr/man" DOCDIR="$folder/usr/doc" \
        $as sh -s install <"$root/packaging/install.sh") >"$out/log" 2>&1 || fail "$folder was taken"
    grep -q "install: FAILED: you may not write to $folder:" "$out/log" || fail "$folder: $(cat "$out/log")"
    rmdir "$folder"
    echo "denied: who may not write there is told what to do"
}

# What is not there, or empty, is never installed.
missing() {
    : >"$out/empty.a"
    for library in "$out/empty.a" "$out/nothing.a"; do
        ! (cd "$root" && what=x PREFIX="$out/missing" DESTDIR="" LIBDIR="$out/missing/lib" DATADIR="$out/missing/share" \
            INCLUDEDIR="$out/missing/include" MANDIR="$out/missing/man" DOCDIR="$out/missing/doc" SONAME=x SHARED="" \
            NOTICES=README.md NATIVE_LIBS=-lc LIB="$library" packaging/install.sh install) >"$out/log" 2>&1 ||
            fail "$library was installed"
        [ ! -e "$out/missing/lib/$(basename "$library")" ] || fail "$library was installed"
    done
    # A compiler that says it has worked, and has not.
    rm -rf "$out/copy"
    copy "$out/copy"
    ! "$make" -C "$out/copy" lib CARGO=true >"$out/log" 2>&1 || fail "make lib ends well without a library"
    [ ! -e "$out/copy/build/lib/libcircflow.a" ] || fail "make lib makes a library of nothing"
    echo "missing: a build or an install without its library fails"
}

# The project as git has it, elsewhere.
copy() {
    mkdir -p "$1"
    (cd "$root" && git ls-files -z | xargs -0 tar cf - --ignore-failed-read 2>/dev/null) | tar xf - -C "$1"
}

# The same bytes in another folder, with crates in another place, and with wrappers of rustc that the user has set.
reproducible() {
    folder="$out/another folder, with a longer name that isn't plain"
    rm -rf "$folder" "$out/cargo"
    printf '#!/bin/sh\necho >>"%s"\nexec "$@"\n' "$out/wrapped" >"$out/wrapper"
    chmod +x "$out/wrapper"
    : >"$out/wrapped"
    copy "$folder"
    mkdir -p "$out/cargo"
    # Hard links: a folder that is a link has two names, of which rustc sees either.
    crates=${CARGO_HOME:-$HOME/.cargo}/registry
    cp -al "$crates" "$out/cargo/registry" 2>/dev/null || cp -a "$crates" "$out/cargo/registry"
    quietly "make lib in another folder" env CARGO_HOME="$out/cargo" "RUSTC_WRAPPER=$out/wrapper" \
        RUSTC_WORKSPACE_WRAPPER=false "$make" -C "$folder" lib
    [ -s "$out/wrapped" ] || fail "make lib does not use the user's RUSTC_WRAPPER"
    # What the archive needs is written again, also where the archive is new.
    rm "$folder/target/native-libs"
    quietly "make lib without target/native-libs" env CARGO_HOME="$out/cargo" "$make" -C "$folder" lib
    [ -s "$folder/target/native-libs" ] || fail "make lib does not say what the archive needs"
    quietly "make lib" "$make" -C "$root" lib
    for file in libcircflow.a "libcircflow.so.$VERSION"; do
        cmp "$root/build/lib/$file" "$folder/build/lib/$file" || fail "$file differs from folder to folder"
    done
    rm -rf "$folder" "$out/cargo"
    echo "reproducible: two folders give the same bytes"
}

# The licences are the same for each user, also for one whose name has the name of a licence in it.
notices() {
    rm -rf "$out/Smith"
    mkdir -p "$out/Smith"
    ln -s "${CARGO_HOME:-$HOME/.cargo}/registry" "$out/Smith/registry"
    (cd "$root" && packaging/notices.sh) >"$out/here.txt" || fail "notices.sh"
    (cd "$root" && CARGO_NET_OFFLINE=true CARGO_HOME="$out/Smith" packaging/notices.sh) >"$out/there.txt" ||
        fail "notices.sh with another CARGO_HOME"
    diff "$out/here.txt" "$out/there.txt" >"$out/log" || fail "the licences depend on the folder: $(head -n 5 "$out/log")"
    rm -rf "$out/Smith"
    echo "notices: $(wc -l <"$out/here.txt") lines, whatever the folder is called"
}

# The source archive, with no crate but those in it.
source_archive() {
    quietly "make dist" "$make" -C "$root" dist
    rm -rf "$out/dist" "$out/no-crates"
    mkdir -p "$out/dist" "$out/no-crates"
    tar xf "$root/build/circflow-$VERSION.tar.gz" -C "$out/dist"
    tree=$out/dist/circflow-$VERSION
    for crate in proptest tor-cell cbindgen loom clap; do
        [ -z "$(find "$tree/vendor" -maxdepth 1 -name "$crate-*")" ] || fail "make dist has $crate in it"
    done
    quietly "a build of the source archive" env CARGO_HOME="$out/no-crates" CARGO_NET_OFFLINE=true \
        "$make" -C "$tree" install "PREFIX=$out/dist/usr"
    # shellcheck disable=SC2046
    quietly "the archive from the source archive does not link" $cc -std=c99 $strict "-I$out/dist/usr/include" \
        "$here/consumer.c" "$out/dist/usr/lib/libcircflow.a" $(cat "$tree/target/native-libs") -o "$out/program"
    programs=0
    works "the source archive" "$out/program" ""
    rm -rf "$out/dist" "$out/no-crates"
    echo "source archive: $(($(wc -c <"$root/build/circflow-$VERSION.tar.gz") / 1000)) kB, builds without a network"
}

# Another libc, linked statically: where its parts are installed.
musl() {
    if ! rustc --print target-libdir --target $musl 2>/dev/null | xargs -I{} test -d {} || ! command -v musl-gcc >/dev/null
    then
        echo "musl: left out, as rustup's target $musl or musl-tools is not here"
        return
    fi
    quietly "make lib for musl" "$make" -C "$root" lib CARGO_BUILD_TARGET=$musl CC=musl-gcc
    # rustup brings the libunwind that it names.
    # shellcheck disable=SC2046
    quietly "musl: it does not link" musl-gcc -static -std=c99 "-I$root/include" "$here/consumer.c" \
        "$root/build/$musl/lib/libcircflow.a" "-L$(rustc --print target-libdir --target $musl)/self-contained" $(cat "$root/target/$musl-native-libs") -o "$out/program"
    ! readelf --segments --wide "$out/program" | grep -q INTERP || fail "musl: it is not static"
    programs=0
    works musl "$out/program" ""
    echo "musl: a static program"
}

# cargo-c, where it is installed.
cargo_c() {
    if ! command -v cargo-cinstall >/dev/null; then
        echo "cargo-c: left out, as it is not here"
        return
    fi
    rm -rf "$out/cargo-c"
    quietly "cargo cinstall" sh -c "cd '$root' && cargo cinstall --release --package circflow-c --prefix /usr \
        --libdir /usr/lib --destdir '$out/cargo-c' --target-dir target/cargo-c"
    programs=0
    export PKG_CONFIG_PATH="$out/cargo-c/usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$out/cargo-c" \
        PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
    by_pkg_config "cargo-c" circflow shared "$out/cargo-c/usr/lib"
    unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
    echo "cargo-c: the header, the library and its .pc file work"
}

mkdir -p "$out"
for part in ${PARTS:-layouts merged folders denied missing notices reproducible source_archive musl cargo_c}; do
    $part
done
echo "check-package: OK"
