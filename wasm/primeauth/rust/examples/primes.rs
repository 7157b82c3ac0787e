//! Answers for each number on standard input, eight bytes with the lowest first,
//! whether it is prime, in a byte. A test compares the answers with math/big's.

use primeauth::prime::is_prime;
use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let answer = |n: &[u8]| u8::from(is_prime(u64::from_le_bytes(n.try_into().unwrap())));
    let answers: Vec<u8> = input.chunks_exact(8).map(answer).collect();
    io::stdout().write_all(&answers)
}
