//go:build unix && !linux

package lockdown

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Process locks the present process down, for good: by limits, which is all that this system has for it.
func Process() (f Force, err error) {
	if err := rlimits(); err != nil {
		return nil, fmt.Errorf("%s: %w", Rlimits, err)
	}
	return Force{Rlimits}, nil
}

// Bound is for systems where one process bounds another. Here it does nothing.
func Bound(int, uint64, uint64) error { return nil }

// Own limits the CPU time of the present process, in seconds since its start. The memory, in bytes, it must watch
// itself: this system does not.
func Own(_, seconds uint64) error {
	if err := unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: unix.RLIM_INFINITY}); err != nil {
		return fmt.Errorf("limiting CPU time: %w", err)
	}
	return nil
}
