package process

import "syscall"

// attributes keep a process out of the terminal's group: Ctrl-C reaches who started it, and
// that ends it, in order. If who started it crashes, it ends too (prctl(2), PR_SET_PDEATHSIG).
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
