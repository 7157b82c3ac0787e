package lockdown

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Process locks the present process down, for good. A means that the kernel does not have is not in force: err
// says why, and the others hold.
func Process() (f Force, err error) {
	// Where the machine has no memory left, the kernel is to end this process before any other: a stranger fills it.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // no /proc, no harm
	var wrong []error
	for _, one := range []struct {
		name string
		do   func() error
	}{{Rlimits, rlimits}, {Landlock, landlock}, {Seccomp, seccomp}} {
		if err := one.do(); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", one.name, err))
			continue
		}
		f = append(f, one.name)
	}
	return f, errors.Join(wrong...)
}

// Bound limits another process from outside: its memory, in bytes, and its CPU time, in seconds since its start.
// It may be called again with more. Of memory only what the process can write to counts: Go's runtime reserves far
// more addresses than it uses.
func Bound(pid int, memory, seconds uint64) error {
	if err := bound(pid, unix.RLIMIT_CPU, seconds); err != nil {
		return fmt.Errorf("limiting CPU time: %w", err)
	}
	if Raced {
		return nil
	}
	if err := bound(pid, unix.RLIMIT_DATA, memory); err != nil {
		return fmt.Errorf("limiting memory: %w", err)
	}
	return nil
}

// bound sets the soft limit of a process, and leaves the hard one, which only root could raise again.
func bound(pid, resource int, most uint64) error {
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &limit); err != nil {
		return err
	}
	limit.Cur = min(most, limit.Max)
	return unix.Prlimit(pid, resource, &limit, nil)
}

// Own is for systems where no process bounds another, and so each bounds itself. Here it does nothing.
func Own(uint64, uint64) error { return nil }

// Landlock forbids whatever a set of rules handles and does not allow; here nothing is allowed.
// https://docs.kernel.org/userspace-api/landlock.html

// allFiles is all that the first version of Landlock handles of files: what is done to one has a bit.
const allFiles = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1

// laterFiles are those that came with later versions.
var laterFiles = map[uintptr]uint64{2: unix.LANDLOCK_ACCESS_FS_REFER, 3: unix.LANDLOCK_ACCESS_FS_TRUNCATE, 5: unix.LANDLOCK_ACCESS_FS_IOCTL_DEV}

// landlock forbids all files and TCP, and what else the kernel's Landlock knows: signals and abstract Unix
// sockets of others.
func landlock() error {
	version, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return fmt.Errorf("this kernel has none: %w", e)
	}
	rules := struct{ files, net, scoped uint64 }{files: allFiles}
	for since, more := range laterFiles {
		if version >= since {
			rules.files |= more
		}
	}
	size := unsafe.Sizeof(rules.files) // a kernel takes no more than its version has
	if version >= 4 {
		rules.net, size = unix.LANDLOCK_ACCESS_NET_BIND_TCP|unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, size+unsafe.Sizeof(rules.net)
	}
	if version >= 6 {
		rules.scoped, size = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET|unix.LANDLOCK_SCOPE_SIGNAL, size+unsafe.Sizeof(rules.scoped)
	}
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), size, 0) //nolint:gosec // x/sys has no function for it
	if e != 0 {
		return fmt.Errorf("its rules: %w", e)
	}
	defer unix.Close(int(fd)) //nolint:errcheck // there is nothing in it
	// It holds for one thread, so that all that there are must call it; in a build with cgo Go can't have them do so.
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		return fmt.Errorf("no_new_privs (a build with cgo has none for all threads): %w", e)
	}
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); e != 0 {
		return fmt.Errorf("holding to its rules: %w", e)
	}
	return nil
}
