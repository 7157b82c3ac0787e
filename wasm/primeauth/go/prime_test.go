package main

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

// ProbablyPrime(0) of math/big is exact below 2^64.
func bigIsPrime(n uint64) bool { return new(big.Int).SetUint64(n).ProbablyPrime(0) }

func TestIsPrimeAgainstMathBig(t *testing.T) {
	for n := range uint64(1 << 14) {
		checkPrime(t, n)
	}
	for _, top := range []uint64{1 << 32, 1 << 63, 0} { // 0 is 2^64
		for d := uint64(1); d < 2000; d++ {
			checkPrime(t, top-d)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		checkPrime(t, r.Uint64()>>r.UintN(64))
	}
}

// The composites that fool weaker tests.
func TestIsPrimeStrongPseudoprimes(t *testing.T) {
	for _, n := range []uint64{
		561, 1105, 1729, 294409, 56052361, 118901521, 172947529, // Carmichael numbers
		2047, 1373653, 25326001, 3215031751, // the smallest to bases 2; 2,3; 2,3,5; 2,3,5,7 (OEIS A014233)
		2152302898747, 3474749660383, 341550071728321, 3825123056546413051,
		(1<<31 - 1) * (1<<31 - 1), 4294967291 * 4294967291, // squares of primes
	} {
		if isPrime(n) {
			t.Errorf("isPrime(%d), a composite", n)
		}
	}
}

func checkPrime(t *testing.T, n uint64) {
	t.Helper()
	if got, want := isPrime(n), bigIsPrime(n); got != want {
		t.Errorf("isPrime(%d) = %v, want %v", n, got, want)
	}
}

func BenchmarkIsPrimeWorst(b *testing.B) {
	for b.Loop() {
		isPrime(12090933928454580839)
	}
}
