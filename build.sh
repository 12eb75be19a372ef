#!/bin/sh
# Makes one self-contained executable per target, and its SHA-256 beside it.
# Installs from apt and npm what it needs and does not find.
set -eu

usage() {
	cat <<EOF
usage: build.sh [--target TARGET|all] [--method auto|compile|bundle] [--out DIR]
                [--main FILE]

  --target  x86_64-unknown-linux-gnu, aarch64-unknown-linux-gnu or all (default)
  --method  compile: \`deno compile\`; needs the runtime \`denort\` of the target,
            which it takes from DENORT_BIN, from Deno's cache or from a download
            bundle:  the runtime of the npm package and the bundled script behind
            a small launcher; needs npm and apt only
            auto:    compile if it works, else bundle (default)
  --out     directory for the results (default: dist)
  --main    program to build, instead of main.ts
EOF
}

die() {
	echo "build.sh: $*" >&2
	exit 1
}

# Shows a command, then runs it.
run() {
	echo "+ $*" >&2
	"$@"
}

root=$(cd "$(dirname "$0")" && pwd)
all='x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu'
targets=$all method=auto out=$root/dist main=$root/main.ts
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage && exit ;;
	--target | --method | --out | --main) [ $# -ge 2 ] || die "$1 needs a value" ;;
	*) usage >&2 && exit 2 ;;
	esac
	case $1 in
	--target)
		targets=$2
		[ "$2" != all ] || targets=$all
		;;
	--method) method=$2 ;;
	--out) out=$(mkdir -p "$2" && cd "$2" && pwd) ;;
	--main) main=$(realpath "$2") ;;
	esac
	shift 2
done
for target in $targets; do
	case " $all " in
	*" $target "*) ;;
	*) die "no such target: $target" ;;
	esac
done
case $method in auto | compile | bundle) ;; *) die "no such method: $method" ;; esac

cd "$root"
cache=$root/.cache/build
mkdir -p "$cache" "$out"
exec 9>"$cache/lock"
flock -w 600 9 || die "another build holds $cache/lock"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

host=$(uname -m)
case $host in
x86_64 | aarch64) ;;
*) die "cannot build on $host" ;;
esac

# The name of an architecture in npm packages, in Debian packages, in ELF headers.
npm_arch() { case $1 in x86_64) echo x64 ;; *) echo arm64 ;; esac; }
deb_arch() { case $1 in x86_64) echo amd64 ;; *) echo arm64 ;; esac; }
elf_machine() { case $1 in x86_64) echo 62 ;; *) echo 183 ;; esac; }

compiler() { [ "$1" = "$host" ] && echo gcc || echo "$1-linux-gnu-gcc"; }

# Prints a string constant of a JSON file: json FILE KEY...
json() {
	node -e '
		let value = JSON.parse(require("fs").readFileSync(process.argv[1]));
		for (const key of process.argv.slice(2)) value = value[key];
		console.log(value);
	' "$@"
}

install_from_apt() {
	missing=
	command -v npm >/dev/null || missing="$missing nodejs npm"
	for needed; do
		cc=$(compiler "$needed")
		if echo 'int main(void) { return 0; }' |
			"$cc" -static -x c -o /dev/null - 2>/dev/null; then
			continue
		fi
		if [ "$needed" = "$host" ]; then
			missing="$missing gcc libc6-dev"
		else
			missing="$missing gcc-$(echo "$needed" | tr _ -)-linux-gnu libc6-dev-$(deb_arch "$needed")-cross"
		fi
	done
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || die "please install:$missing"
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	run $sudo apt-get -qq update
	# shellcheck disable=SC2086 # a list of words
	run $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
		--no-install-recommends -o DPkg::Lock::Timeout=300 $missing >/dev/null
}

install_from_npm() {
	[ -x "$deno" ] && npm ls >/dev/null 2>&1 && return
	run npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
}

# Prints the path of the runtime for an architecture. A foreign one comes from the
# package of the same release, checked by the digest in package-lock.json.
runtime() {
	[ "$1" != "$host" ] || {
		echo "$deno"
		return
	}
	package=@deno/linux-$(npm_arch "$1")-glibc
	version=$(json package-lock.json packages "node_modules/$package" version)
	directory=$cache/runtime/$package@$version
	if [ ! -x "$directory/deno" ]; then
		integrity=$(json package-lock.json packages "node_modules/$package" integrity)
		run npm pack --silent --loglevel=error --pack-destination "$work" \
			"$package@$version" >/dev/null
		archive=$(echo "$work"/deno-linux-*.tgz)
		node -e '
			const { createHash } = require("crypto");
			const archive = require("fs").readFileSync(process.argv[1]);
			const digest = createHash("sha512").update(archive).digest("base64");
			process.exitCode = "sha512-" + digest === process.argv[2] ? 0 : 1;
		' "$archive" "$integrity" || die "$package@$version: wrong digest"
		mkdir "$work/unpacked"
		tar -xzf "$archive" -C "$work/unpacked" --strip-components=1
		rm "$archive"
		chmod +x "$work/unpacked/deno"
		mkdir -p "$(dirname "$directory")"
		rm -rf "$directory"
		mv "$work/unpacked" "$directory"
	fi
	echo "$directory/deno"
}

# The whole program as one script, with the facts of this build: bundle_script METHOD
bundle_script() {
	commit=$(git describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)
	cat >"$work/build_info.ts" <<-EOF
		export const buildInfo = {
		  version: "$(json deno.json version)",
		  method: "$1",
		  commit: "$commit",
		};
	EOF
	pack_iced
	node -e '
		const { readFileSync, writeFileSync } = require("fs");
		const { pathToFileURL } = require("url");
		const [root, work] = process.argv.slice(1);
		const base = pathToFileURL(root + "/");
		const { imports } = JSON.parse(readFileSync(root + "/deno.json"));
		for (const [name, value] of Object.entries(imports)) {
			if (value.startsWith(".")) imports[name] = new URL(value, base);
		}
		for (const name of ["build_info.ts", "guestos/x86/iced_code.ts"]) {
			imports[new URL(name, base)] = pathToFileURL(work + "/" + name);
		}
		writeFileSync(work + "/import_map.json", JSON.stringify({ imports }));
	' "$root" "$work"
	# As for a browser: modules of Node.js take longer to load than all of ours.
	"$deno" bundle --quiet --no-check --platform browser \
		--import-map "$work/import_map.json" \
		-o "$work/xkmon.js" "$main"
}

# The code of the disassembler, packed, as a module. What the bundler would make
# of it is as large as the code and a half, and takes 300 MB to unpack.
pack_iced() {
	mkdir -p "$work/guestos/x86"
	node -e '
		const code = require("fs").readFileSync(0);
		const text = require("zlib").gzipSync(code, { level: 9 }).toString("base64");
		console.log(`
			export async function icedCode() {
			  const packed = new Blob([Uint8Array.fromBase64("${text}")]);
			  const stream = packed.stream().pipeThrough(new DecompressionStream("gzip"));
			  return new Uint8Array(await new Response(stream).arrayBuffer());
			}`);
	' <node_modules/iced-x86/iced_x86_bg.wasm >"$work/guestos/x86/iced_code.ts"
}

permissions() { grep -v -e '^#' -e '^$' permissions.txt; }

# compile TARGET RESULT
compile() (
	# DENORT_BIN is one file for one target.
	if [ -n "${DENORT_BIN:-}" ] &&
		[ "$(od -An -tu2 -j18 -N2 "$DENORT_BIN" | tr -d ' ')" != "$(elf_machine "${1%%-*}")" ]; then
		unset DENORT_BIN
	fi
	bundle_script compile || exit
	# The limit is for a network that swallows what is sent to it.
	[ "$method" = auto ] && limit=60 || limit=600
	# shellcheck disable=SC2046 # a list of words
	run timeout "$limit" "$deno" compile --quiet --no-check --no-config --no-lock --no-code-cache \
		"$v8_flags" $(permissions) --target "$1" --output "$2" "$work/xkmon.js" &&
		starts "$1" "$2" compile
)

# A monitor that does little for months: collecting garbage in other threads and
# shrinking the heap while idle cost more than all its passes. When there is much
# to be collected it says so itself. Its passes are as fast without the second of
# the optimising compilers, which makes a profile take half as long again on a
# host with one slow processor. The first one is for loops over memory: compiling
# what a few hundred stopped writes run through took as long as judging them.
# What a guest may wait for stays compiled, though it may not run for months.
# Positions in the source are kept at once: the first stack that is asked for,
# which is at the first line that is printed, would have all of the script parsed
# again.
v8_flags=--v8-flags=--expose-gc,--no-memory-reducer,--single-threaded-gc,--no-turbofan,--invocation-count-for-maglev=20000,--no-flush-bytecode,--no-enable-lazy-source-positions

# The script for the launcher, which has it evaluated: as a module, but that
# nothing can be imported or exported. In ASCII it takes half of the memory.
evaluable() {
	! grep -qE '^(import|export) ' "$work/xkmon.js" || die "the bundle has imports"
	node -e '
		const code = require("fs").readFileSync(0, "utf8").replace(
			/[^\0-\x7f]/g,
			(char) => "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0"),
		);
		process.stdout.write(
			`(async () => { "use strict";\n${code}\n})()\n//# sourceURL=xkmon.js\n`,
		);
	' <"$work/xkmon.js" >"$work/script"
}

# bundle TARGET RESULT
bundle() {
	arch=${1%%-*}
	# shellcheck disable=SC2046 # one word or two
	install_from_apt $(printf '%s\n' "$host" "$arch" | sort -u)
	binary=$(runtime "$arch")
	{
		printf '%s\n' run --quiet --ext=js --no-config --no-lock --no-remote \
			--no-npm --cached-only --no-code-cache "$v8_flags"
		permissions
	} >"$work/options"
	bundle_script bundle
	evaluable
	gcc -std=gnu11 -O2 -Wall -Wextra -o "$work/pack" launcher/pack.c
	"$(compiler "$arch")" -std=gnu11 -O2 -Wall -Wextra -static -s -o "$work/launcher" \
		launcher/launcher.c launcher/run_elf.c
	"$work/pack" "$2" "$work/launcher" "$binary" "$work/script" "$work/options"
	starts "$1" "$2" bundle
}

# Whether the result tells its version, where this host can run it.
starts() {
	[ "${1%%-*}" = "$host" ] || return 0
	answer=$(timeout 60 "$2" --version </dev/null 2>&1) || true
	case $answer in
	xkmon\ *"($1, $3, "*) ;;
	*)
		echo "build.sh: what '$3' made for $1 does not start: $answer" >&2
		return 1
		;;
	esac
}

deno=$root/node_modules/@deno/linux-$(npm_arch "$host")-glibc/deno
install_from_apt
install_from_npm

for target in $targets; do
	name=xkmon-${target%%-*}-linux
	result=$work/$name
	case $method in
	compile) compile "$target" "$result" || die "compile failed for $target" ;;
	bundle) bundle "$target" "$result" ;;
	auto)
		compile "$target" "$result" 2>"$work/compile.log" || {
			echo "build.sh: deno compile does not work here for $target, so bundle" >&2
			bundle "$target" "$result"
		}
		;;
	esac
	mv "$result" "$out/$name"
	(cd "$out" && sha256sum "$name" >"$name.sha256" && ls -sh "$name")
done
