package main

import (
	"math"
	"math/bits"
)

// isPrime is exact for every uint64, by the test of Baillie and PSW: no composite
// below 2^64 is both a strong pseudoprime to base 2 and an (almost) extra strong
// Lucas pseudoprime. Both halves are those of math/big, whose documentation says
// "100% accurate for inputs less than 2⁶⁴"; what that rests on is Feitsma's list
// of all base-2 pseudoprimes below 2^64 (http://www.janfeitsma.nl/math/psp2/).
//
// Its work is bounded by some 200 modular products, whatever n is: a quarter of
// what Miller-Rabin with the seven bases that are needed takes, and nothing like
// trial division, which would hang a worker of the proxy on a large prime.
func isPrime(n uint64) bool {
	if n%2 == 0 {
		return n == 2
	}
	for i := range small {
		if d := &small[i]; d.divides(n) {
			return n == d.prime
		}
	}
	if n < next*next {
		return n > 1
	}
	m := newMontgomery(n)
	return m.strongProbablePrime() && m.lucasProbablePrime()
}

// montgomery multiplies modulo an odd n without a division: WebAssembly has no
// 128-bit division, and emulating one costs more than the rest of a request.
type montgomery struct {
	n   uint64
	inv uint64 // n^-1 mod 2^64
	one uint64 // 2^64 mod n: 1 in Montgomery form
}

func newMontgomery(n uint64) *montgomery {
	return &montgomery{n: n, inv: inverse(n), one: -n % n}
}

// mul is a*b/2^64 modulo n, for a, b < n. The low halves of a*b and q*n are
// equal, so their difference over 2^64 is that of the high halves.
func (m *montgomery) mul(a, b uint64) uint64 {
	return m.sub(high(a, b), high(a*b*m.inv, m.n))
}

// sub is a-b modulo n, for a < n, b ≤ n.
func (m *montgomery) sub(a, b uint64) uint64 {
	if a < b {
		a += m.n
	}
	return a - b
}

// add is a+b modulo n, for a, b < n.
func (m *montgomery) add(a, b uint64) uint64 { return m.sub(a, m.n-b) }

// form is a small number in Montgomery form.
func (m *montgomery) form(a uint64) (x uint64) {
	for bit := bits.Len64(a) - 1; bit >= 0; bit-- {
		x = m.add(x, x)
		if a>>bit&1 == 1 {
			x = m.add(x, m.one)
		}
	}
	return x
}

// high is the high half of a*b. Written out because bits.Mul64, which WebAssembly
// has no instruction for, is a call here, and works out the low half as well.
func high(a, b uint64) uint64 {
	const half = 1<<32 - 1
	a1, a0, b1, b0 := a>>32, a&half, b>>32, b&half
	mid := a1*b0 + a0*b0>>32
	return a1*b1 + mid>>32 + (a0*b1+mid&half)>>32
}

// strongProbablePrime is one round of Miller-Rabin with base 2.
func (m *montgomery) strongProbablePrime() bool {
	minusOne := m.n - m.one
	s := bits.TrailingZeros64(m.n - 1)
	d := (m.n - 1) >> s
	x := m.one
	for bit := bits.Len64(d) - 1; bit >= 0; bit-- {
		x = m.mul(x, x)
		if d>>bit&1 == 1 {
			x = m.add(x, x)
		}
	}
	if x == m.one || x == minusOne {
		return true
	}
	for range s - 1 {
		if x = m.mul(x, x); x == minusOne {
			return true
		}
	}
	return false
}

// lucasProbablePrime tests by the Lucas sequence V(p, 1), in which
// V(2k) = V(k)^2 - 2 and V(2k+1) = V(k) V(k+1) - p.
func (m *montgomery) lucasProbablePrime() bool {
	parameter := lucasParameter(m.n)
	if parameter == 0 {
		return false
	}
	p, two := m.form(parameter), m.form(2)
	r := bits.TrailingZeros64(m.n + 1) // of 2^64-1 there is no question: 3 divides it
	s := (m.n + 1) >> r
	v, next := two, p // V(k) and V(k+1), from k = 0 to s
	for bit := bits.Len64(s) - 1; bit >= 0; bit-- {
		between := m.sub(m.mul(v, next), p)
		if s>>bit&1 == 1 {
			v, next = between, m.sub(m.mul(next, next), two)
		} else {
			v, next = m.sub(m.mul(v, v), two), between
		}
	}
	// U(s) = 0, as V(s) p = 2 V(s+1) says.
	if (v == two || v == m.n-two) && m.mul(v, p) == m.add(next, next) {
		return true
	}
	for range r {
		if v == 0 {
			return true
		}
		v = m.sub(m.mul(v, v), two)
	}
	return false
}

// lucasParameter is the first p from 3 with (p^2-4 | n) = -1, or 0 if n is seen to
// be composite; n has no divisor among the small primes. That p is two less than the
// first of 5, 7, 11, 13, … with (q | n) = -1, for p+2 and p-2 have no other factors;
// but 3 and 2 come in between. By a table, because there are primes for which the
// first two dozen fail.
func lucasParameter(n uint64) uint64 {
	three, five, seven := &small[0], &small[1], &small[2]
	switch {
	case five.isNonresidue(n):
		return 3
	case three.isNonresidue(n):
		return 4 // 2^2 3
	case seven.isNonresidue(n):
		return 5
	case n&7 == 3 || n&7 == 5:
		return 6 // 2^5
	}
	for i := 3; i < len(small); i++ {
		if q := &small[i]; q.isNonresidue(n) {
			return q.prime - 2
		}
	}
	return largeParameter(n)
}

// largeParameter is the same from next-2. There is none for a square.
func largeParameter(n uint64) uint64 {
	if isSquare(n) {
		return 0
	}
	for p := uint64(next - 2); ; p++ {
		switch jacobi(p*p-4, n) {
		case -1:
			return p
		case 0: // a common divisor, far smaller than n
			return 0
		}
	}
}

// jacobi is the Jacobi symbol (a | n), for odd n.
func jacobi(a, n uint64) int {
	j := 1
	for a != 0 {
		twos := bits.TrailingZeros64(a)
		a >>= twos
		if twos&1 == 1 && (n&7 == 3 || n&7 == 5) {
			j = -j
		}
		if a&n&3 == 3 {
			j = -j
		}
		a, n = n%a, a
	}
	if n != 1 {
		return 0
	}
	return j
}

func isSquare(n uint64) bool {
	root := uint64(math.Sqrt(float64(n))) // off by one at most
	return (root-1)*(root-1) == n || root*root == n || (root+1)*(root+1) == n
}
