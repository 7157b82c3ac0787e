//go:build unix

package lockdown

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// rlimits sets the limits that hold from the start on: the process leaves no memory image, writes no file, and
// has at most maxFiles open.
func rlimits() error {
	var wrong []error
	for what, most := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_NOFILE: maxFiles} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			wrong = append(wrong, fmt.Errorf("limit %d: %w", what, err))
		}
	}
	return errors.Join(wrong...)
}
