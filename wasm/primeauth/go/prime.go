package main

import "math/bits"

// sinclair are the seven bases that make the Miller-Rabin test exact for every
// n < 2^64 (Jim Sinclair, https://miller-rabin.appspot.com, verified there
// against Feitsma's list of all base-2 pseudoprimes below 2^64).
var sinclair = [...]uint64{2, 325, 9375, 28178, 450775, 9780504, 1795265022}

// small primes answer most composites without a modular power.
var small = [...]uint64{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37}

// isPrime is exact for every uint64. Its work is bounded by seven modular
// powers, whatever n is: trial division would hang a worker of the proxy on a
// large prime.
func isPrime(n uint64) bool {
	for _, p := range small {
		if n%p == 0 {
			return n == p
		}
	}
	if n < 41*41 {
		return n > 1
	}
	m := newMontgomery(n)
	d, s := n-1, 0
	for ; d&1 == 0; d >>= 1 {
		s++
	}
	for _, base := range sinclair {
		if !m.strongProbablePrime(base%n, d, s) {
			return false
		}
	}
	return true
}

// montgomery multiplies modulo an odd n without a division: WebAssembly has no
// 128-bit division, and emulating one costs more than the rest of a request.
type montgomery struct {
	n   uint64
	inv uint64 // -n^-1 mod 2^64
	one uint64 // 2^64 mod n: 1 in Montgomery form
	r2  uint64 // 2^128 mod n: takes a number into Montgomery form
}

func newMontgomery(n uint64) montgomery {
	inv := n // correct to 3 bits for odd n; each step doubles them
	for range 5 {
		inv *= 2 - n*inv
	}
	m := montgomery{n: n, inv: -inv, one: -n % n}
	m.r2 = m.one
	for range 64 {
		m.r2 = m.double(m.r2)
	}
	return m
}

// double is a+a modulo n, for a < n.
func (m montgomery) double(a uint64) uint64 {
	sum, carry := bits.Add64(a, a, 0)
	if carry != 0 || sum >= m.n {
		sum -= m.n
	}
	return sum
}

// mul is a*b/2^64 modulo n, for a, b < n.
func (m montgomery) mul(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	qhi, qlo := bits.Mul64(lo*m.inv, m.n)
	_, carry := bits.Add64(lo, qlo, 0)
	sum, carry := bits.Add64(hi, qhi, carry)
	if carry != 0 || sum >= m.n {
		sum -= m.n
	}
	return sum
}

// strongProbablePrime is one round of Miller-Rabin with n-1 = d * 2^s.
func (m montgomery) strongProbablePrime(base, d uint64, s int) bool {
	if base == 0 {
		return true
	}
	minusOne := m.n - m.one
	x := m.power(m.mul(base, m.r2), d)
	if x == m.one || x == minusOne {
		return true
	}
	for range s - 1 {
		x = m.mul(x, x)
		if x == minusOne {
			return true
		}
	}
	return false
}

// power is a^d modulo n, a and the result in Montgomery form.
func (m montgomery) power(a, d uint64) uint64 {
	x := m.one
	for ; d > 0; d >>= 1 {
		if d&1 == 1 {
			x = m.mul(x, a)
		}
		a = m.mul(a, a)
	}
	return x
}
