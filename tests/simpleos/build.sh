#!/bin/sh
# Builds SimpleOS into .cache/simpleos/simpleos.elf, if its sources are newer than the file.
# Usage: build.sh [--force]
set -eu

sources=$(cd "$(dirname "$0")" && pwd)
output=$(cd "$sources/../.." && pwd)/.cache/simpleos
kernel=$output/simpleos.elf

case "${1-}" in
"") force= ;;
--force) force=yes ;;
*)
    echo "build.sh: unknown option: $1" >&2
    exit 2
    ;;
esac

if [ -z "$force" ] && [ -e "$kernel" ] && [ -z "$(find "$sources" -newer "$kernel" \
    \( -name '*.[chS]' -o -name '*.lds' -o -name '*.list' -o -name build.sh \))" ]; then
    exit 0
fi

if ! command -v gcc >/dev/null || ! command -v ld >/dev/null || [ ! -e /usr/include/xen/xen.h ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        gcc binutils libxen-dev >/dev/null
fi

mkdir -p "$output"
# Each build has a directory of its own and ends with a rename, so that two at once do no harm.
build=$(mktemp -d "$output/build.XXXXXX")
trap 'rm -rf "$build"' EXIT
# A source that is edited while it compiles must count as newer than the result.
touch "$build/started"

flags="-std=gnu11 -O2 -g0 -Wall -Wextra -Werror -ffreestanding -fno-pic -mcmodel=kernel \
-mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables \
-fcf-protection=none -fno-tree-loop-distribute-patterns -fno-strict-aliasing -fno-common \
-D__XEN_INTERFACE_VERSION__=0x00040e00"

for source in "$sources"/*.c "$sources"/*.S; do
    # shellcheck disable=SC2086 # the flags are words
    gcc $flags -c -o "$build/$(basename "$source").o" "$source"
done
gcc -E -P -x c -I "$sources" -o "$build/simpleos.lds" "$sources/simpleos.lds"
ld -nostdlib -static -z max-page-size=4096 --build-id=none --fatal-warnings \
    -T "$build/simpleos.lds" -o "$build/simpleos.elf" "$build"/*.o

touch -r "$build/started" "$build/simpleos.elf"
mv "$build/simpleos.elf" "$kernel"
