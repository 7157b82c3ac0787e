package sandbox

import "syscall"

// attributes have a child be of a process group of its own, which a terminal's signals don't reach, and end with
// the server.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
