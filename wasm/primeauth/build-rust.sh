#!/bin/sh
# Builds a Proxy-Wasm filter in Rust:  build-rust.sh OUT [CRATE]
#
# By the rustup target where that is installed, else by the compiler and the
# standard library's source of Debian's rustc-web, which has no such target but
# can build it. The same source gives the same module in any directory.
#
# A crate with a file `exports` is built small: it exports that and no more, and a
# standard library that is built here is built for size. One without is built as
# cargo comes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
crate=$(cd "${2:-$here/rust}" && pwd)
target=wasm32-unknown-unknown
debian=/usr/lib/rustlib/src/rust/library

exports= small=
[ ! -f "$crate/exports" ] || exports=$(sed 's/#.*//' "$crate/exports" | tr '\n' ' ')

if libs=$(rustc --print target-libdir --target $target 2>/dev/null) && ls "$libs"/libstd-*.rlib >/dev/null 2>&1; then
	std=$(rustc --print sysroot)/lib/rustlib/src/rust
	host=$(rustc -vV | sed -n 's/^host: //p')
	for lld in "$libs/../../$host/bin/gcc-ld/wasm-ld" "$(command -v wasm-ld || :)"; do
		[ ! -x "$lld" ] || break
	done
	set --
elif [ -d $debian ] && [ -x /usr/bin/cargo ] && lld=$(command -v wasm-ld); then
	PATH=/usr/bin:$PATH
	export RUSTC_BOOTSTRAP=1
	std=${debian%/library}
	set -- -Zbuild-std=std,panic_abort
	if [ "$exports" ]; then
		# Nobody would see the texts of its panics.
		small="-Zunstable-options -Cpanic=immediate-abort"
		set -- "$@" -Zbuild-std-features=optimize_for_size
	fi
else
	echo "the Rust filter needs: rustup target add $target (or, on Debian: apt install rustc-web cargo-web rust-web-src lld)" >&2
	exit 1
fi

# Where the sources lie is no part of a module.
export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$std=/rust $small"
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$here/link-rust.sh" WASM_LD="$lld" EXPORTS="$exports"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$crate/target}"
(cd "$crate" && cargo build --quiet --locked --release --lib --target $target "$@")
cp "$CARGO_TARGET_DIR/$target/release/$(sed -n 's/^name = "\(.*\)"/\1/p' "$crate/Cargo.toml" | head -1).wasm" "$out"
