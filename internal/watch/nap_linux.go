package watch

import (
	"time"

	"golang.org/x/sys/unix"
)

// nap sleeps, in the kernel. A signal may wake it sooner.
func nap(d time.Duration) {
	if d > 0 {
		t := unix.NsecToTimespec(d.Nanoseconds())
		_ = unix.Nanosleep(&t, nil)
	}
}
