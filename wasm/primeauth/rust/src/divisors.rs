//! The small primes, and what they divide.

use crate::prime::halves;

/// Small primes answer most composites, and all numbers below NEXT^2, without a
/// modular power. These are the odd ones below NEXT.
pub static SMALL: [Divisor; 64] = divisors();

/// The prime after those.
pub const NEXT: u64 = 317;

/// A prime p, and what tells its multiples by a multiplication: n times its inverse
/// is n/p for those, and more than that can be for any other number.
pub struct Divisor {
    pub prime: u64,
    pub inverse: u64,  // p^-1 mod 2^64
    most: u64,         // (2^64-1)/p
    squares: [u64; 5], // a bit for each number below p: is it a square modulo p?
}

impl Divisor {
    pub fn divides(&self, n: u64) -> bool {
        n.wrapping_mul(self.inverse) <= self.most
    }

    /// Whether the Jacobi symbol (p | n) is -1, for odd n that p does not divide. By
    /// the law of quadratic reciprocity: a look at the table.
    pub fn is_nonresidue(&self, n: u64) -> bool {
        // -n/2^64 modulo p, which is a square if -n is: 2^64 is one.
        let (high, low) = halves(n.wrapping_mul(self.inverse));
        let x = (high * self.prime + ((low * self.prime) >> 32)) >> 32;
        let square = self.squares[x as usize / 64] >> (x % 64) & 1 == 1;
        square == (self.prime & 3 == 3 && n & 3 == 1)
    }
}

const fn divisors<const N: usize>() -> [Divisor; N] {
    let mut all = [const { divisor(3) }; N];
    let (mut i, mut p) = (1, 5);
    while i < N {
        let mut d = 3;
        while d * d <= p && p % d != 0 {
            d += 2;
        }
        if d * d > p {
            all[i] = divisor(p);
            i += 1;
        }
        p += 2;
    }
    all
}

const fn divisor(p: u64) -> Divisor {
    let mut squares = [0; 5];
    let mut x = 1;
    while x < p {
        let square = x * x % p;
        squares[square as usize / 64] |= 1 << (square % 64);
        x += 1;
    }
    Divisor {
        prime: p,
        inverse: inverse(p),
        most: u64::MAX / p,
        squares,
    }
}

/// n^-1 mod 2^64, for odd n.
pub const fn inverse(n: u64) -> u64 {
    let mut inv = n; // correct to 3 bits; each step doubles them
    let mut step = 0;
    while step < 5 {
        inv = inv.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(inv)));
        step += 1;
    }
    inv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prime::{is_prime, jacobi};

    #[test]
    fn small_divisors() {
        let prime = |n: &u64| (2..*n).all(|d| !n.is_multiple_of(d));
        let primes: Vec<u64> = (3..NEXT).filter(prime).collect();
        assert_eq!(primes.len(), SMALL.len());
        for (p, d) in primes.iter().zip(&SMALL) {
            assert!(d.divides(*p) && d.divides(p << 50), "{p}");
            assert!(!d.divides(NEXT) && !d.divides((p << 50) + 1), "{p}");
            assert!(is_prime(*p) && !is_prime(p * p), "{p}");
            let root = |n: u64| (1..*p).any(|x| x * x % p == n % p);
            for n in (1..4 * p).step_by(2).filter(|n| n % p != 0) {
                assert_eq!(d.is_nonresidue(n), jacobi(*p, n) == -1, "{p} {n}");
                assert_eq!(jacobi(n, *p) == 1, root(n), "{n} {p}");
            }
        }
    }
}
