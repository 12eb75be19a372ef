#!/bin/sh
# Installs what the build and the tests need on Debian, as far as it is missing.
set -eu
cd "$(dirname "$0")/.."

# The cross compiler and the emulators are for the build's other target; g++ and
# make build Bochs, and diod (which serves nobody by itself), socat and xorriso
# help it.
packages="
	binutils busybox-static ca-certificates cpio diod g++ gcc
	gcc-aarch64-linux-gnu libc6-dev libc6-dev-arm64-cross libxen-dev lz4 make
	qemu-system-x86 qemu-user-static socat util-linux xorriso xz-utils zstd"
# Node's own packages bring npm along, and conflict with Debian's.
command -v npm >/dev/null || packages="$packages npm"

missing=
for package in $packages; do
	status=$(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null || :)
	[ "$status" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
	echo "Installing$missing" >&2
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of words
	apt-get install -qq -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 $missing >/dev/null
fi

installed=node_modules/.package-lock.json
if ! [ -e $installed ] || [ package-lock.json -nt $installed ]; then
	npm ci --no-audit --no-fund --loglevel=error >&2
fi
