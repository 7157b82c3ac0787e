package gauge

import "syscall"

// EndsWithParent are attributes of a process that ends when the one that started it does,
// also when that crashes (prctl(2), PR_SET_PDEATHSIG).
func EndsWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
