package access

import "syscall"

// credentials are those with which the other end has connected.
func credentials(fd int) (peer, bool) {
	c, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return peer{}, false
	}
	return peer{uid: int(c.Uid), pid: int(c.Pid)}, true
}
