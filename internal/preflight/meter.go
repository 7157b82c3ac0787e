package preflight

import (
	"context"
	"runtime"
	"time"
)

// measured runs a call into a module, and ends its context when the call has worked for too long:
// limits are of the CPU time that this thread had, where the system tells it, so that a machine
// that is busy with something else is not held against a filter. It returns how long it was.
func measured(ctx context.Context, limit time.Duration, do func(context.Context) error) (time.Duration, error) {
	runtime.LockOSThread() // whose clock is looked at from another
	defer runtime.UnlockOSThread()
	clock := threadClock()
	began := clock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	look := make(chan *time.Timer, 1)
	timer := time.AfterFunc(max(limit, 0), func() {
		timer := <-look
		look <- timer
		left := limit - (clock() - began)
		switch {
		case ctx.Err() != nil: // the call is over
		case left <= 0:
			cancel()
		default:
			timer.Reset(max(left, time.Millisecond))
		}
	})
	look <- timer
	defer timer.Stop()
	err := do(ctx)
	return clock() - began, err
}

// wallClock is the clock of who has no other.
func wallClock() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}
