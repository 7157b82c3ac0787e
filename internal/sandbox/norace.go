//go:build !race

package sandbox

// raced is 0: see race.go.
const raced = 0
