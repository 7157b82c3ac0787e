//go:build race

package lockdown

// Raced is whether the race detector is built in: its shadow memory is larger than any limit.
const Raced = true
