//go:build !linux

package preflight

import "time"

// threadClock tells wall-clock time where the system has no clock that one thread can read of
// another.
func threadClock() func() time.Duration { return wallClock() }
