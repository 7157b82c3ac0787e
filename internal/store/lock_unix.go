//go:build unix

package store

import (
	"os"
	"syscall"
)

// takeLock fails where another process has the lock. It goes with the process,
// however that ends.
func takeLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
