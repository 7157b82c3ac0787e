//! A primality test that is exact for every u64, in bounded time.

use crate::divisors::{inverse, NEXT, SMALL};

/// Says whether n is prime, by the test of Baillie and PSW: no composite below
/// 2^64 is both a strong pseudoprime to base 2 and an (almost) extra strong Lucas
/// pseudoprime. Both halves are those of Go's math/big, whose documentation says
/// "100% accurate for inputs less than 2^64"; what that rests on is Feitsma's list
/// of all base-2 pseudoprimes below 2^64 (<http://www.janfeitsma.nl/math/psp2/>).
///
/// Its work is bounded by some 200 modular products, whatever n is: a quarter of
/// what Miller-Rabin with the seven bases that are needed takes, and nothing like
/// trial division, which would hang a worker of the proxy on a large prime.
pub fn is_prime(n: u64) -> bool {
    if n.is_multiple_of(2) {
        return n == 2;
    }
    for divisor in &SMALL {
        if divisor.divides(n) {
            return n.wrapping_mul(divisor.inverse) == 1; // the prime itself
        }
    }
    if n < NEXT * NEXT {
        return n > 1;
    }
    let m = Montgomery::new(n);
    m.lucas_parameter().is_some_and(|p| m.probable_prime(p))
}

/// Multiplies modulo an odd n without a division: WebAssembly has no 128-bit
/// division, and emulating one costs more than the rest of a request.
struct Montgomery {
    n: u64,
    inv: u64, // n^-1 mod 2^64
    one: u64, // 2^64 mod n: 1 in Montgomery form
}

impl Montgomery {
    fn new(n: u64) -> Montgomery {
        let one = n.wrapping_neg() % n;
        Montgomery {
            n,
            inv: inverse(n),
            one,
        }
    }

    /// a*b/2^64 modulo n, for a, b < n.
    fn mul(&self, a: u64, b: u64) -> u64 {
        self.mul_sub(a, b, 0)
    }

    /// a*b/2^64 - c modulo n, for a, b, c < n.
    fn mul_sub(&self, a: u64, b: u64, c: u64) -> u64 {
        let (high, low) = product(a, b);
        let q = low.wrapping_mul(self.inv);
        // The low halves of a*b and q*n are equal, so their difference over
        // 2^64 is that of the high halves.
        self.sub(self.sub(high, c), high_half(q, self.n, low))
    }

    /// a-b modulo n, for a < n and b ≤ n.
    fn sub(&self, a: u64, b: u64) -> u64 {
        let (x, borrow) = a.overflowing_sub(b);
        if borrow {
            x.wrapping_add(self.n)
        } else {
            x
        }
    }

    /// a+b modulo n, for a, b < n.
    fn add(&self, a: u64, b: u64) -> u64 {
        self.sub(a, self.n - b)
    }

    /// A small number in Montgomery form.
    fn form(&self, a: u64) -> u64 {
        let twice = |x, bit| {
            let x = self.add(x, x);
            select(a >> bit, self.add(x, self.one), x)
        };
        (0..64 - a.leading_zeros()).rev().fold(0, twice)
    }

    /// Whether n is a strong probable prime to base 2 and a Lucas one for p, in the
    /// sequence V(p, 1): V(2i) = V(i)^2 - 2 and V(2i+1) = V(i) V(i+1) - p.
    ///
    /// By one loop: each half is a chain of products that wait for one another, and
    /// a processor works at both chains at once.
    fn probable_prime(&self, p: u64) -> bool {
        let (two, p) = (self.form(2), self.form(p));
        let (before, after) = (self.n - 1, self.n + 1); // 2^64-1 is none: 3 divides it
        let (r, s) = (before.trailing_zeros(), after.trailing_zeros());
        let (mut strong, mut lucas) = (false, false);
        let mut power = self.one; // 2^(before >> bit)
        let (mut even, mut odd) = (two, p); // V(i) and V(i+1) for i = after >> bit; of even and odd index
        for bit in (1..64 - after.leading_zeros()).rev() {
            power = self.mul(power, power);
            power = select(before >> bit, self.add(power, power), power);
            // The new even index is twice an old one, which this bit and the last say.
            let swap = (even ^ odd) & mask((after >> bit) ^ (after >> bit >> 1));
            let (half, other) = (even ^ swap, odd ^ swap);
            even = self.mul_sub(half, half, two);
            odd = self.mul_sub(half, other, p);
            if bit > r.max(s) {
                continue; // as nearly always; one question is quicker than three
            }
            if bit <= r {
                strong |= power == self.n - self.one || bit == r && power == self.one;
            }
            if bit < s {
                lucas |= even == 0;
            } else if bit == s {
                lucas = odd == 0 || self.is_lucas_end(odd, even, p);
            }
        }
        strong && lucas
    }

    /// Whether v = V(k) is 2 or -2, and U(k) = 0, as V(k) p = 2 V(k+1) says.
    fn is_lucas_end(&self, v: u64, next: u64, p: u64) -> bool {
        let two = self.form(2);
        (v == two || v == self.n - two) && self.mul(v, p) == self.add(next, next)
    }

    /// The first p from 3 with (p^2-4 | n) = -1, if n has no divisor among the small
    /// primes. That is two less than the first of 5, 7, 11, 13, … with (q | n) = -1,
    /// for p+2 and p-2 have no other factors; but 3 and 2 come in between. By a
    /// table, because there are primes for which the first two dozen fail.
    fn lucas_parameter(&self) -> Option<u64> {
        let n = self.n;
        let [three, five, seven, rest @ ..] = &SMALL;
        if five.is_nonresidue(n) {
            return Some(3);
        }
        if three.is_nonresidue(n) {
            return Some(4); // 2^2 3
        }
        if seven.is_nonresidue(n) {
            return Some(5);
        }
        if matches!(n & 7, 3 | 5) {
            return Some(6); // 2^5
        }
        let found = rest.iter().find(|q| q.is_nonresidue(n));
        found
            .map(|q| q.prime - 2)
            .or_else(|| self.large_parameter())
    }

    /// The same from NEXT-2. There is none for a square.
    fn large_parameter(&self) -> Option<u64> {
        if is_square(self.n) {
            return None;
        }
        let symbol = |p: u64| jacobi(p * p - 4, self.n);
        let p = (NEXT - 2..).find(|&p| symbol(p) != 1)?;
        (symbol(p) == -1).then_some(p) // 0: a common divisor, far smaller than n
    }
}

/// a if the lowest bit is set, else b; without a branch, which a processor would
/// guess wrong half the time.
fn select(bit: u64, a: u64, b: u64) -> u64 {
    b ^ ((a ^ b) & mask(bit))
}

/// All ones if the lowest bit is set, else 0.
fn mask(bit: u64) -> u64 {
    (bit & 1).wrapping_neg()
}

/// The Jacobi symbol (a | n), for odd n.
pub(crate) fn jacobi(mut a: u64, mut n: u64) -> i32 {
    let mut j = 1;
    while a != 0 {
        let twos = a.trailing_zeros();
        a >>= twos;
        if twos & 1 == 1 && matches!(n & 7, 3 | 5) {
            j = -j;
        }
        if a & n & 3 == 3 {
            j = -j;
        }
        (a, n) = (n % a, a);
    }
    if n == 1 {
        j
    } else {
        0
    }
}

fn is_square(n: u64) -> bool {
    let root = (n as f64).sqrt() as u64; // off by one at most
    (root - 1..=root + 1).any(|r| r.wrapping_mul(r) == n)
}

/// a*b, as its high and its low half. By halves of a and b: through u128 it would
/// be a call. Multiplications are what takes the time, and there are four.
fn product(a: u64, b: u64) -> (u64, u64) {
    let ((a1, a0), (b1, b0)) = (halves(a), halves(b));
    let end = a0 * b0;
    let mid = a1 * b0 + (end >> 32);
    let other = a0 * b1 + low(mid);
    let high = a1 * b1 + (mid >> 32) + (other >> 32);
    (high, other << 32 | low(end))
}

/// The high half of a*b, of which the low half is known. That spares the fourth
/// multiplication: the upper half of a0*b0 is what brings the sum of the halves in
/// the middle up to the known one, and so carries what its complement does.
fn high_half(a: u64, b: u64, known: u64) -> u64 {
    let ((a1, a0), (b1, b0)) = (halves(a), halves(b));
    let mid = a1 * b0 + low(!(known >> 32));
    let other = a0 * b1 + low(mid);
    a1 * b1 + (mid >> 32) + (other >> 32)
}

pub(crate) fn halves(x: u64) -> (u64, u64) {
    (x >> 32, low(x))
}

fn low(x: u64) -> u64 {
    x & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products() {
        for (a, b) in [
            (0, u64::MAX),
            (u64::MAX, u64::MAX),
            (1 << 32, 1 << 32),
            (0x1234_5678_9abc_def0, 0xfedc_ba98_7654_3210),
            (u64::MAX, 0xffff_ffff),
        ] {
            let want = u128::from(a) * u128::from(b);
            let (high, low) = ((want >> 64) as u64, want as u64);
            assert_eq!(product(a, b), (high, low), "{a} {b}");
            assert_eq!(high_half(a, b, low), high, "{a} {b}");
        }
    }

    #[test]
    fn squares() {
        for root in [
            41,
            43,
            1093,
            65537,
            (1 << 31) - 1,
            4294967291,
            (1 << 32) - 1,
        ] {
            assert!(is_square(root * root), "{root}");
            assert!(!is_square(root * root - 2), "{root}");
            assert!(!is_prime(root * root), "{root}");
        }
    }

    #[test]
    fn parameters() {
        // Of the first two the parameters are 99 and 261.
        let hard = [12090933928454580839, 8019204661305419761];
        let numbers = (1..100_000).map(|i| u64::MAX - 2 * i);
        for n in hard.into_iter().chain(numbers) {
            if SMALL.iter().any(|d| d.divides(n)) || is_square(n) {
                continue;
            }
            let m = Montgomery::new(n);
            let symbol = |p: &u64| jacobi(p * p - 4, n);
            let want = (3..).find(|p| symbol(p) != 1);
            assert_eq!(m.lucas_parameter(), want, "{n}");
            let large = (NEXT - 2..).find(|p| symbol(p) != 1);
            let large = large.filter(|p| symbol(p) == -1);
            assert_eq!(m.large_parameter(), large, "{n}");
        }
        let square = Montgomery::new(4294967291 * 4294967291);
        assert_eq!(square.lucas_parameter(), None);
    }

    #[test]
    fn small_numbers() {
        let mut composite = [false; 1 << 17];
        for n in 0..composite.len() {
            let want = n > 1 && !composite[n];
            assert_eq!(is_prime(n as u64), want, "{n}");
            if want {
                (n * n..composite.len())
                    .step_by(n)
                    .for_each(|m| composite[m] = true);
            }
        }
    }
}
