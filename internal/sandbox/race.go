//go:build race

package sandbox

// raced is 1: the race detector keeps four bytes beside each, so that room takes longer than it saves.
const raced = 1
