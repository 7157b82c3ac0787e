package watch

import (
	"os"

	"golang.org/x/sys/unix"
)

// beingWritten reports whether a process has the file open for writing. The
// kernel grants a read lease on a file only when no one has; the lease is given
// back at once. Where leases can't be had (another owner's file, some file
// systems) the answer is no, and the quiet period must do.
func beingWritten(f *os.File) bool {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return err != nil
	}
	return err == unix.EAGAIN
}
