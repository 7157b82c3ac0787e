package main

import (
	"math"
	"math/big"
	"testing"
)

func TestDivisors(t *testing.T) {
	i := 0
	for p := uint64(3); p < next; p += 2 {
		if !bigIsPrime(p) {
			continue
		}
		d := &small[i]
		i++
		if d.prime != p || !d.divides(p) || !d.divides(p<<50) || d.divides(next) || d.divides(p<<50+1) {
			t.Errorf("%d: %+v", p, d)
		}
		for n := uint64(1); n < 4*p; n += 2 {
			if want := symbol(p, n); want != 0 && d.isNonresidue(n) != (want == -1) {
				t.Errorf("(%d | %d) is %d", p, n, want)
			}
		}
	}
	if i != len(small) || !bigIsPrime(next) {
		t.Errorf("%d small primes below %d, want %d", i, next, len(small))
	}
}

func TestLucasParameter(t *testing.T) {
	numbers := []uint64{12090933928454580839, 8019204661305419761} // of parameters 99 and 261
	for i := range uint64(20_000) {
		numbers = append(numbers, math.MaxUint64-2*i)
	}
	for _, n := range numbers {
		if divided(n) || isSquare(n) {
			continue
		}
		if got, want := lucasParameter(n), firstParameter(3, n); got != want {
			t.Errorf("lucasParameter(%d) = %d, want %d", n, got, want)
		}
		if got, want := largeParameter(n), firstParameter(next-2, n); got != want {
			t.Errorf("largeParameter(%d) = %d, want %d", n, got, want)
		}
	}
	if got := lucasParameter(4294967291 * 4294967291); got != 0 {
		t.Errorf("a square has the parameter %d", got)
	}
}

// symbol is math/big's Jacobi symbol.
func symbol(a, n uint64) int {
	return big.Jacobi(new(big.Int).SetUint64(a), new(big.Int).SetUint64(n))
}

func divided(n uint64) bool {
	for i := range small {
		if small[i].divides(n) {
			return true
		}
	}
	return false
}

// firstParameter tries one after the other.
func firstParameter(from, n uint64) uint64 {
	for p := from; ; p++ {
		switch symbol(p*p-4, n) {
		case -1:
			return p
		case 0:
			return 0
		}
	}
}
