//go:build !linux

package gauge

import "syscall"

// EndsWithParent are attributes of a process that is ended by the one that started it: only
// Linux ends it when that crashes.
func EndsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
