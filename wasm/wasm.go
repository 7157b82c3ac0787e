// Package wasm holds the filters of this repository, and the script that builds one of a Rust
// crate, which new filters are given.
package wasm

import _ "embed" // build-rust.sh

// BuildRust is build-rust.sh.
//
//go:embed build-rust.sh
var BuildRust []byte
