package lockdown

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data, of little-endian machines.
const (
	dataNumber   = 0
	dataArch     = 4
	dataFirstArg = 16
)

// seccomp allows the system calls that Go's runtime needs for memory, threads, time and pipes that are open.
// Any other is answered EPERM; so there is no open, no socket, no execve, no ptrace and no fork. The answer to
// clone3 is ENOSYS: its flags lie in memory, where a filter can't read them, and who is told that there is no such
// call uses clone.
// https://docs.kernel.org/userspace-api/seccomp_filter.html
func seccomp() error {
	if arch == 0 {
		return errors.New("there is no list for " + runtime.GOARCH)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	program := filter()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	stuck, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))) //nolint:gosec // x/sys has no function for it
	runtime.KeepAlive(program)
	switch {
	case e != 0:
		return fmt.Errorf("this kernel has none: %w", e)
	case stuck != 0:
		return fmt.Errorf("thread %d has another filter", stuck)
	}
	return nil
}

// filter is the program that the kernel asks about each call. Jt and Jf are how many lines are left out next, where
// a comparison holds and where not.
func filter() []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		bits  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		end   = unix.BPF_RET | unix.BPF_K
	)
	refused := unix.SockFilter{Code: end, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	allowed := unix.SockFilter{Code: end, K: unix.SECCOMP_RET_ALLOW}
	out := []unix.SockFilter{
		{Code: load, K: dataArch}, {Code: equal, Jt: 1, K: arch}, refused,
		{Code: load, K: dataNumber},
		{Code: equal, Jf: 1, K: unix.SYS_CLONE3}, {Code: end, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		// A thread, and no process.
		{Code: equal, Jf: 4, K: unix.SYS_CLONE}, {Code: load, K: dataFirstArg}, {Code: bits, Jf: 1, K: unix.CLONE_THREAD}, allowed, refused,
		{Code: equal, Jf: 4, K: unix.SYS_TGKILL}, {Code: load, K: dataFirstArg}, {Code: equal, Jf: 1, K: uint32(unix.Getpid())}, allowed, refused,
	}
	for _, number := range append(calls, callsHere...) {
		out = append(out, unix.SockFilter{Code: equal, Jf: 1, K: number}, allowed)
	}
	return append(out, refused)
}

// calls are those that are allowed on any machine: on open files, and on the process itself.
var calls = []uint32{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_FCNTL, unix.SYS_LSEEK,
	unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK, unix.SYS_MEMBARRIER,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK, unix.SYS_RESTART_SYSCALL,
	unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY,
	unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETCPU, unix.SYS_GETRUSAGE,
	unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_SET_TID_ADDRESS, unix.SYS_GETRANDOM,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2, unix.SYS_PIPE2,
	unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_DELETE, unix.SYS_SETITIMER,
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
}
