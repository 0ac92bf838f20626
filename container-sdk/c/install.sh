#!/usr/bin/env bash
# Builds the container SDK for C and C++ and installs it.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: install.sh PREFIX

Builds the library with cargo (profile `sdk`: release, but a panic unwinds) and installs below PREFIX:

  include/cutter/container.h, container.hpp         headers for C and C++
  lib/libcutter_c.a, libcutter_c.so                 static and shared library
  lib/pkgconfig/cutter-container.pc                 pkg-config, static library
  lib/pkgconfig/cutter-container-shared.pc          pkg-config, shared library
  lib/cmake/cutter-container/                       CMake: find_package(cutter-container)

DESTDIR, when set, is put before PREFIX for the copies, and nowhere else.
TEXT
}

if [[ $# -eq 1 && ( $1 == -h || $1 == --help ) ]]; then
    usage
    exit 0
fi
if [[ $# -ne 1 || $1 == -* || -z $1 ]]; then
    usage >&2
    exit 2
fi

prefix=$(realpath -ms -- "$1")
source=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cargo=${CARGO:-cargo}

cd -- "$source"
"$cargo" build --profile sdk --lib
id=$("$cargo" pkgid)
version=${id##*[@#]}
abi=${version%.*}
built=$("$cargo" metadata --no-deps --format-version 1 |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/sdk

# What the static library needs, as `rustc --print native-static-libs` tells; libc comes by itself.
system_libs=(gcc_s util rt pthread m dl)

root=${DESTDIR:-}$prefix
lib=$root/lib
install -d -- "$root/include/cutter" "$lib/pkgconfig" "$lib/cmake/cutter-container"

# Writes a template with its @WORDS@ replaced; the system libraries are written as told.
fill() {
    local text libs=$3
    text=$(<"$1")
    text=${text//@PREFIX@/"$prefix"}
    text=${text//@VERSION@/"$version"}
    text=${text//@ABI@/"$abi"}
    text=${text//@SYSTEM_LIBS@/"$libs"}
    printf '%s\n' "$text" >"$2"
    chmod 644 -- "$2"
}

install -m 644 -- include/cutter/container.h include/cutter/container.hpp "$root/include/cutter"
install -m 644 -- "$built/libcutter_c.a" "$lib/libcutter_c.a"
install -m 755 -- "$built/libcutter_c.so" "$lib/libcutter_c.so.$version"
# Line tables of the SDK would go into every model.
if command -v strip >/dev/null; then
    strip --strip-debug -- "$lib/libcutter_c.a" "$lib/libcutter_c.so.$version"
fi
ln -sfn -- "libcutter_c.so.$version" "$lib/libcutter_c.so.$abi"
ln -sfn -- "libcutter_c.so.$abi" "$lib/libcutter_c.so"

flags=$(printf -- '-l%s ' "${system_libs[@]}")
for name in cutter-container cutter-container-shared; do
    fill "$name.pc.in" "$lib/pkgconfig/$name.pc" "${flags% }"
done
list=$(printf '%s;' "${system_libs[@]}")
for name in cutter-container-config cutter-container-config-version; do
    fill "cmake/$name.cmake.in" "$lib/cmake/cutter-container/$name.cmake" "${list%;}"
done

printf 'installed cutter-container %s below %s\n' "$version" "$root"
