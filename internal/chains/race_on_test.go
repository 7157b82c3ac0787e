//go:build race

package chains

// Under the race detector a chain takes eight times as long; `make test` runs all without.
const chainsByDefault = 40
