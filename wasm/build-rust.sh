#!/bin/sh
# Builds a Proxy-Wasm filter of a Rust crate:  build-rust.sh OUT [CRATE]
#
# OUT is the module, CRATE the folder of the crate, by default the current one: a
# library of crate-type "cdylib". By rustup's target where that is installed, else by the
# compiler and the standard library's source of Debian's rustc-web, which has no such
# target but can build it. The same source gives the same module in any folder.
#
# SMALL=yes: the module says nothing when it panics, and where the standard library is
# built here it is built for size.
set -eu

fail() {
	echo "build-rust.sh: $1" >&2
	exit 1
}

[ $# -eq 1 ] || [ $# -eq 2 ] || fail "usage: build-rust.sh OUT [CRATE]"
case "$1" in
/*) out=$1 ;;
*) out=$PWD/$1 ;;
esac
cd "${2:-.}"
[ -f Cargo.toml ] || fail "there is no Cargo.toml in $PWD"

# installed says whether the compiler has the standard library of a target.
installed() {
	libs=$(rustc --print target-libdir --target "$1" 2>/dev/null) && ls "$libs"/libstd-*.rlib >/dev/null 2>&1
}

debian=/usr/lib/rustlib/src/rust
small=${SMALL:-}
set -- --release --lib
for target in wasm32-unknown-unknown wasm32-wasip1 ''; do
	[ -z "$target" ] || ! installed "$target" || break
done
if [ "$target" ]; then
	std=$(rustc --print sysroot)/lib/rustlib/src/rust
	small= # not of a standard library that is built already
elif [ -d $debian/library ] && [ -x /usr/bin/cargo ] && command -v wasm-ld >/dev/null; then
	export PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=1
	target=wasm32-unknown-unknown
	std=$debian
	set -- "$@" -Zbuild-std=std,panic_abort
	[ -z "$small" ] || set -- "$@" -Zbuild-std-features=optimize_for_size
	# A crate without dependencies needs no network: those of the standard library are beside it.
	if [ -d $debian/library/vendor ] && needs=$(cargo metadata --offline --format-version 1 2>/dev/null) &&
		! printf %s "$needs" | grep -q '"source":"'; then
		set -- "$@" --offline --config 'source.crates-io.replace-with="beside"' --config "source.beside.directory=\"$debian/library/vendor\""
	fi
else
	fail "a filter in Rust needs: rustup target add wasm32-unknown-unknown (or, on Debian: apt install rustc-web cargo-web rust-web-src lld)"
fi
# rustup brings a linker with it, Debian's compilers do not.
host=$(rustc -vV | sed -n 's/^host: //p')
if [ ! -x "$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld" ]; then
	export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld
fi

# Where the sources lie is no part of a module.
flags="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo|--remap-path-prefix=$std=/rust"
[ -z "$small" ] || flags="$flags|-Zunstable-options|-Cpanic=immediate-abort"
CARGO_ENCODED_RUSTFLAGS=$(printf %s "$flags" | tr '|' '\037')
export CARGO_ENCODED_RUSTFLAGS
[ "${CARGO_TARGET_DIR:-}" ] || unset CARGO_TARGET_DIR
# What is locked is built as it is locked; a crate without dependencies needs no file for that.
lock=$(dirname "$(cargo locate-project --workspace --message-format plain)")/Cargo.lock
[ ! -f "$lock" ] || set -- "$@" --locked
built=$(cargo build --quiet --message-format json-render-diagnostics --target $target "$@") || fail "cargo does not build the crate in $PWD"
module=$(printf '%s\n' "$built" | sed -n 's/^{"reason":"compiler-artifact".*"\([^"]*\.wasm\)".*/\1/p' | tail -1)
[ "$module" ] || fail "the crate in $PWD makes no module: its Cargo.toml wants  [lib]  crate-type = [\"cdylib\"]"
cp "$module" "$out"
