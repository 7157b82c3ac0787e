package lockdown

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "probe":
		probe()
	case len(os.Args) > 1 && os.Args[1] == "hoard":
		hoard()
	}
	os.Exit(m.Run())
}

// probed is what a process that is locked down could do, by name, and what holds it.
type probed struct {
	Force   Force
	Allowed []string
}

// probe tries what a module that has taken its process over would.
func probe() {
	force, _ := Process()
	out := probed{Force: force}
	for name, do := range map[string]func() error{
		"read a file":   func() error { _, err := os.ReadFile("/proc/self/status"); return err },
		"list a folder": func() error { _, err := os.ReadDir("/"); return err },
		"write a file":  func() error { return os.WriteFile(os.TempDir()+"/waxwing-probe", nil, 0o600) },
		"TCP":           func() error { _, err := net.Dial("tcp", "127.0.0.1:9"); return refusedIs(err) },
		"listen":        func() error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err },
		"UDP":           func() error { _, err := net.Dial("udp", "127.0.0.1:9"); return err },
		"Unix socket":   func() error { _, err := net.Listen("unix", "@waxwing-probe"); return err },
		"run a program": func() error { return exec.Command("/bin/true").Run() },
		"exec":          func() error { return unix.Exec("/proc/self/exe", []string{"x"}, nil) },
		"fork": func() error {
			_, _, e := unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)
			return errnoOf(e)
		},
		"signal its parent": func() error { return unix.Kill(unix.Getppid(), 0) },
		"trace its parent":  func() error { return unix.PtraceAttach(unix.Getppid()) },
		"raise a limit":     func() error { return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: 1 << 40, Max: 1 << 40}) },
		"chroot":            func() error { return unix.Chroot("/") },
	} {
		if do() == nil {
			out.Allowed = append(out.Allowed, name)
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
	os.Exit(0)
}

func errnoOf(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// refusedIs makes of a connection that was refused one that was allowed: the network was asked.
func refusedIs(err error) error {
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	return err
}

// hoard takes memory until it gets no more, once it has been bound.
func hoard() {
	_, _ = io.ReadAll(os.Stdin)
	var all [][]byte
	for range 64 {
		all = append(all, make([]byte, 64<<20))
	}
	os.Exit(len(all))
}

// A process that is locked down has no files, no network and no other programs.
func TestProbe(t *testing.T) {
	cmd := exec.Command(os.Args[0], "probe")
	cmd.Env = []string{}
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got probed
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(got.Force, Rlimits) || !slices.Contains(got.Force, Seccomp) && !slices.Contains(got.Force, Landlock) {
		t.Skipf("this kernel has only %v", got.Force)
	}
	t.Logf("in force: %v", got.Force)
	if len(got.Allowed) > 0 {
		t.Errorf("it can %s", strings.Join(got.Allowed, ", "))
	}
}

// A process gets no more memory than it was bound to from outside.
func TestBound(t *testing.T) {
	if Raced {
		t.Skip("the race detector has terabytes of memory")
	}
	var said bytes.Buffer
	cmd := exec.Command(os.Args[0], "hoard")
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := Bound(cmd.Process.Pid, 1<<30, 60); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), "out of memory") {
		t.Errorf("%v: %.300s", err, said.String())
	}
}
