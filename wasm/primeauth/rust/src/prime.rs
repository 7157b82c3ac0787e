//! A primality test that is exact for every u64, in bounded time.

/// Small primes answer most composites, and all numbers below NEXT^2, without a
/// modular power. These are the odd ones below NEXT.
static SMALL: [Divisor; 53] = divisors();

/// The prime after those.
const NEXT: u64 = 257;

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
    m.strong_probable_prime() && m.lucas_probable_prime()
}

/// A prime, and what tells its multiples by a multiplication: n times its inverse
/// is n/p for those, and more than that can be for any other number.
struct Divisor {
    inverse: u64, // p^-1 mod 2^64
    most: u64,    // (2^64-1)/p
}

impl Divisor {
    fn divides(&self, n: u64) -> bool {
        n.wrapping_mul(self.inverse) <= self.most
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
    Divisor {
        inverse: inverse(p),
        most: u64::MAX / p,
    }
}

/// n^-1 mod 2^64, for odd n.
const fn inverse(n: u64) -> u64 {
    let mut inv = n; // correct to 3 bits; each step doubles them
    let mut step = 0;
    while step < 5 {
        inv = inv.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(inv)));
        step += 1;
    }
    inv
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
        let q = a.wrapping_mul(b).wrapping_mul(self.inv);
        // The low halves of a*b and q*n are equal, so their difference over
        // 2^64 is that of the high halves.
        self.sub(high(a, b), high(q, self.n))
    }

    /// a-b modulo n, for a, b < n.
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

    /// One round of Miller-Rabin with base 2.
    fn strong_probable_prime(&self) -> bool {
        let minus_one = self.n - self.one;
        let s = (self.n - 1).trailing_zeros();
        let d = (self.n - 1) >> s;
        let mut x = self.one;
        for bit in (0..64 - d.leading_zeros()).rev() {
            x = self.mul(x, x);
            x = select(d >> bit, self.add(x, x), x);
        }
        if x == self.one {
            return true;
        }
        for _ in 1..s {
            if x == minus_one {
                return true;
            }
            x = self.mul(x, x);
        }
        x == minus_one
    }

    /// The Lucas sequence V(p, 1): V(2k) = V(k)^2 - 2, V(2k+1) = V(k) V(k+1) - p.
    fn lucas_probable_prime(&self) -> bool {
        let Some(p) = self.lucas_parameter() else {
            return false;
        };
        let two = self.add(self.one, self.one);
        let p = (0..p).fold(0, |sum, _| self.add(sum, self.one));
        let r = (self.n + 1).trailing_zeros(); // of 2^64-1 there is no question: 3 divides it
        let s = (self.n + 1) >> r;
        let (mut v, mut next) = (two, p); // V(k) and V(k+1), from k = 0 to s
        for bit in (0..64 - s.leading_zeros()).rev() {
            let between = self.sub(self.mul(v, next), p);
            let end = select(s >> bit, next, v);
            let even = self.sub(self.mul(end, end), two);
            v = select(s >> bit, between, even);
            next = select(s >> bit, even, between);
        }
        // U(s) = 0, as V(s) p = 2 V(s+1) says.
        if (v == two || v == self.n - two) && self.mul(v, p) == self.add(next, next) {
            return true;
        }
        for _ in 0..r {
            if v == 0 {
                return true;
            }
            v = self.sub(self.mul(v, v), two);
        }
        false
    }

    /// The first p from 3 with (p^2-4 | n) = -1. There is none for a square, of
    /// which there may be a doubt when a dozen have failed.
    fn lucas_parameter(&self) -> Option<u64> {
        for p in 3.. {
            match jacobi(p * p - 4, self.n) {
                -1 => return Some(p),
                0 => return None, // a common divisor, far smaller than n
                _ if p == 15 && is_square(self.n) => return None,
                _ => (),
            }
        }
        None
    }
}

/// a if the lowest bit is set, else b; without a branch, which a processor would
/// guess wrong half the time.
fn select(bit: u64, a: u64, b: u64) -> u64 {
    b ^ ((a ^ b) & (bit & 1).wrapping_neg())
}

/// The Jacobi symbol (a | n), for odd n.
fn jacobi(mut a: u64, mut n: u64) -> i32 {
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

/// The high half of a*b, by halves: through u128 it would be a call that also
/// works out what isn't needed here.
fn high(a: u64, b: u64) -> u64 {
    let low = |x: u64| x & 0xffff_ffff;
    let (a1, a0, b1, b0) = (a >> 32, low(a), b >> 32, low(b));
    let mid = a1 * b0 + ((a0 * b0) >> 32);
    a1 * b1 + (mid >> 32) + ((a0 * b1 + low(mid)) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_half() {
        for (a, b) in [
            (0, u64::MAX),
            (u64::MAX, u64::MAX),
            (1 << 32, 1 << 32),
            (0x1234_5678_9abc_def0, 0xfedc_ba98_7654_3210),
            (u64::MAX, 0xffff_ffff),
        ] {
            let want = (u128::from(a) * u128::from(b)) >> 64;
            assert_eq!(u128::from(high(a, b)), want, "{a} {b}");
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
    fn small_divisors() {
        let prime = |n: &u64| (2..*n).all(|d| !n.is_multiple_of(d));
        let primes: Vec<u64> = (3..NEXT).filter(prime).collect();
        assert_eq!(primes.len(), SMALL.len());
        for (p, d) in primes.iter().zip(&SMALL) {
            assert!(d.divides(*p) && d.divides(p << 50), "{p}");
            assert!(!d.divides(NEXT) && !d.divides((p << 50) + 1), "{p}");
            assert!(is_prime(*p) && !is_prime(p * p), "{p}");
        }
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
