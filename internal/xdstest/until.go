package xdstest

import (
	"context"
	"time"
)

// Until asks a thousand times a second until it is so, and reports whether it came to be before
// the context ended.
func Until(ctx context.Context, so func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
