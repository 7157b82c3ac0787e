//go:build !linux

package watch

import "time"

// nap sleeps. Elsewhere it may be a millisecond late.
func nap(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // it is what this is for
