//! primeauth, a Proxy-Wasm filter that lets a request through only if its token
//! header is a prime number: the Rust twin of the Go filter beside it. What it
//! does in a proxy is in callbacks.rs; what it decides, in decide.rs.

#[cfg(target_arch = "wasm32")]
mod callbacks;
pub mod config;
pub mod contexts;
pub mod decide;
mod divisors;
pub mod headers;
#[cfg(target_arch = "wasm32")]
mod host;
mod json;
#[cfg(target_arch = "wasm32")]
mod memory;
pub mod prime;
