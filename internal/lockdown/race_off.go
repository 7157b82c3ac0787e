//go:build !race

package lockdown

// raced is whether the race detector is built in: its shadow memory is larger than any limit.
const raced = false
