//go:build unix && !linux

package sandbox

import "syscall"

// attributes have a child be of a process group of its own, which a terminal's signals don't reach. It ends with the
// server by its input, which ends then.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
