#!/bin/sh
# The linker of the Rust filter: wasm-ld, told to export less and by other names.
# The SDK exports each callback there is; a proxy calls those that it finds, whether
# they do anything or not, some on each request, and none of them could be left out
# of the module or replaced. $WASM_LD is the linker, $EXPORTS what to keep ("" for
# everything). What is named prime_on_x is exported as proxy_on_x.
set -eu
n=$#
out=
while [ $n -gt 0 ]; do
	arg=$1
	shift
	n=$((n - 1))
	case "$arg" in
	-o) out=$1 ;; # the next argument
	--export)
		arg=--export=$1
		shift
		n=$((n - 1))
		;;
	esac
	case "$arg" in
	--export=*) case " ${EXPORTS:-${arg#*=}} " in *" ${arg#*=} "*) set -- "$@" "$arg" ;; esac ;;
	*) set -- "$@" "$arg" ;;
	esac
done
"$WASM_LD" "$@"
# The names are of one length, so that nothing in the module moves.
[ -z "$EXPORTS" ] || LC_ALL=C perl -0777 -pi -e 's/prime_on_/proxy_on_/g' "$out"
