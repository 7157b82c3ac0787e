#!/bin/sh
# The linker of the Rust filter: wasm-ld, told to export less. The SDK exports
# each callback there is; a proxy calls those that it finds, whether they do
# anything or not, some on each request, and none of them could be left out of
# the module. $WASM_LD is the linker, $EXPORTS what to keep ("" for everything).
set -eu
n=$#
while [ $n -gt 0 ]; do
	arg=$1
	shift
	n=$((n - 1))
	if [ "$arg" = --export ]; then
		arg=--export=$1
		shift
		n=$((n - 1))
	fi
	case "$arg" in
	--export=*) case " ${EXPORTS:-${arg#*=}} " in *" ${arg#*=} "*) set -- "$@" "$arg" ;; esac ;;
	*) set -- "$@" "$arg" ;;
	esac
done
exec "$WASM_LD" "$@"
