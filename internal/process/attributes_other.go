//go:build !linux

package process

import "syscall"

// attributes keep a process out of the terminal's group: Ctrl-C reaches who started it, and
// that ends it, in order.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
