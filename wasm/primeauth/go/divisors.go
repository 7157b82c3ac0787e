package main

// small are the odd primes below next. They answer most composites, and all numbers
// below next^2, without a modular power.
var small = divisors()

// next is the prime after those.
const next = 317

// A divisor is a prime, and what tells its multiples by a multiplication: n times its
// inverse is n/prime for those, and more than that can be for any other number.
type divisor struct {
	prime   uint64
	inverse uint64    // prime^-1 mod 2^64
	most    uint64    // (2^64-1)/prime
	squares [5]uint64 // a bit for each number below the prime: is it a square modulo it?
}

func (d *divisor) divides(n uint64) bool { return n*d.inverse <= d.most }

// isNonresidue says whether the Jacobi symbol (prime | n) is -1, for odd n that the
// prime does not divide. By the law of quadratic reciprocity: a look at the table.
func (d *divisor) isNonresidue(n uint64) bool {
	x := n % d.prime
	square := d.squares[x/64]>>(x%64)&1 == 1
	return square == (d.prime&3 == 3 && n&3 == 3)
}

func divisors() (all [64]divisor) {
	i := 0
	for p := uint64(3); p < next; p += 2 {
		prime := true
		for d := uint64(3); d*d <= p; d += 2 {
			prime = prime && p%d != 0
		}
		if prime {
			all[i] = newDivisor(p)
			i++
		}
	}
	return all
}

func newDivisor(p uint64) divisor {
	d := divisor{prime: p, inverse: inverse(p), most: (1<<64 - 1) / p}
	for x := uint64(1); x < p; x++ {
		square := x * x % p
		d.squares[square/64] |= 1 << (square % 64)
	}
	return d
}

// inverse is n^-1 mod 2^64, for odd n.
func inverse(n uint64) uint64 {
	inv := n // correct to 3 bits; each step doubles them
	for range 5 {
		inv *= 2 - n*inv
	}
	return inv
}
