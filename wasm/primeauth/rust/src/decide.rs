//! What the filter decides, free of the host.

use crate::config::Config;
use crate::prime::is_prime;

/// Whether a request passes and, if not, why. It never holds the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,    // the token is prime
    Exempt,     // the path needs none
    Missing,    // no such header, or an empty one
    Repeated,   // the header is there twice
    NotDecimal, // anything but the digits 0-9
    TooLarge,   // over 64 bits
    NotPrime,
}

impl Verdict {
    /// How many there are.
    pub const COUNT: usize = Verdict::NotPrime as usize + 1;

    pub fn denied(self) -> bool {
        self as usize > Verdict::Exempt as usize
    }
}

/// The counter of each verdict, by its number: wasmcustom.primeauth.allowed and
/// so on among the proxy's statistics.
pub const METRICS: [&str; Verdict::COUNT] = [
    "primeauth.allowed",
    "primeauth.exempt",
    "primeauth.denied.missing",
    "primeauth.denied.repeated",
    "primeauth.denied.not_decimal",
    "primeauth.denied.too_large",
    "primeauth.denied.not_prime",
];

/// Decides on a request by its headers, pseudo-headers included. Names come in
/// lower case, as a proxy hands them out.
pub fn judge<'a>(config: &Config, headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Verdict {
    let (mut token, mut tokens) = (&[][..], 0);
    let header = config.header.as_bytes();
    for (name, value) in headers {
        if name == header {
            token = value;
            tokens += 1;
        } else if name == b":path" && config.allows(without_query(value)) {
            return Verdict::Exempt;
        }
    }
    if tokens > 1 {
        return Verdict::Repeated;
    }
    decide(token)
}

/// Judges a token.
fn decide(token: &[u8]) -> Verdict {
    match parse(token) {
        Err(verdict) => verdict,
        Ok(n) if is_prime(n) => Verdict::Allowed,
        Ok(_) => Verdict::NotPrime,
    }
}

/// Reads an unsigned decimal number of any length, leading zeros allowed.
/// Digits after an overflow are still read: a letter among them makes it no
/// number at all.
fn parse(token: &[u8]) -> Result<u64, Verdict> {
    const TENTH: u64 = u64::MAX / 10;
    if token.is_empty() {
        return Err(Verdict::Missing);
    }
    let (mut n, mut overflow) = (0u64, false);
    for byte in token {
        let digit = u64::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return Err(Verdict::NotDecimal);
        }
        overflow |= n > TENTH || n == TENTH && digit > u64::MAX % 10;
        n = n.wrapping_mul(10).wrapping_add(digit);
    }
    if overflow {
        return Err(Verdict::TooLarge);
    }
    Ok(n)
}

/// The path of a request target.
fn without_query(target: &[u8]) -> &[u8] {
    target.split(|&c| c == b'?').next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::*;

    #[test]
    fn tokens() {
        for (token, want) in [
            ("32323", Allowed),
            ("323232", NotPrime),
            ("2", Allowed),
            ("0", NotPrime),
            ("1", NotPrime),
            ("007", Allowed),                  // a leading zero changes no number
            ("18446744073709551557", Allowed), // the largest prime below 2^64
            ("18446744073709551615", NotPrime),
            ("18446744073709551616", TooLarge),
            ("", Missing),
            ("+7", NotDecimal),
            ("-7", NotDecimal),
            (" 7", NotDecimal),
            ("7 ", NotDecimal),
            ("7,7", NotDecimal),
            ("0x7", NotDecimal),
            ("7.0", NotDecimal),
            ("٧", NotDecimal),
        ] {
            assert_eq!(decide(token.as_bytes()), want, "{token:?}");
        }
        assert_eq!(decide(b"7\xff"), NotDecimal); // not UTF-8 either
        let mut digits = vec![b'7'; 10_000];
        assert_eq!(decide(&digits), TooLarge);
        digits.push(b'x');
        assert_eq!(decide(&digits), NotDecimal);
    }

    #[test]
    fn requests() {
        let config = Config {
            allow_paths: vec![b"/healthz".to_vec()],
            ..Config::default()
        };
        let path = |path| (":path", path);
        for (headers, want) in [
            (&[path("/"), ("token", "7"), ("x-token", "4")][..], Allowed),
            (&[path("/"), ("tokens", "7")], Missing),
            (&[path("/"), ("token", "4")], NotPrime),
            (&[path("/"), ("token", "7"), ("token", "7")], Repeated),
            (&[path("/"), ("token", ""), ("token", "7")], Repeated),
            (&[("token", "4"), path("/healthz?x")], Exempt),
            (&[("token", "4"), ("token", "4"), path("/healthz")], Exempt),
            (&[path("/healthz/")], Missing),
            (&[path("/?/healthz")], Missing),
            (&[], Missing),
        ] {
            let pairs = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
            assert_eq!(judge(&config, pairs), want, "{headers:?}");
        }
    }

    #[test]
    fn what_is_denied() {
        assert!(!Allowed.denied() && !Exempt.denied());
        assert!(Missing.denied() && NotPrime.denied());
        for verdict in [Missing, Repeated, NotDecimal, TooLarge, NotPrime] {
            assert!(METRICS[verdict as usize].starts_with("primeauth.denied."));
        }
    }
}
