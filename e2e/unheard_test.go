package e2e

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

// silence makes a pipe that is full and that nobody reads.
func silence(t *testing.T) (read, full *os.File) {
	t.Helper()
	read, full, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := full.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var filled error
	if err := raw.Control(func(fd uintptr) { // Go's pipes don't block: a write that finds no room fails
		for _, size := range []int{4096, 1} {
			for filled = nil; filled == nil; {
				_, filled = syscall.Write(int(fd), make([]byte, size))
			}
		}
	}); err != nil || !errors.Is(filled, syscall.EAGAIN) {
		t.Fatalf("filling a pipe: %v, %v", err, filled)
	}
	t.Cleanup(func() {
		_ = read.Close() // one test closes it
		_ = full.Close()
	})
	return read, full
}

// A server whose log nobody reads, whose terminal is closed and that is told to
// hang up goes on: a save reaches the proxy, and its end is not held up.
func TestLogThatNobodyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	write(t, w.fleet, w.fleetYAML(fleetOptions{}))
	write(t, w.module, gate(t, 1))
	read, full := silence(t)
	w.server.Stderr = full
	w.startServer()
	p := w.proxies(1)[0]
	p.runs("x-build", build(1))
	hangUp := func() error { w.server.Signal(syscall.SIGHUP); return nil }
	for i, c := range []struct {
		what string
		do   func() error
	}{
		{"nobody reads its log", func() error { return nil }},
		{"it is told to hang up", hangUp},
		{"and once more", hangUp},
		{"its terminal is gone", read.Close},
	} {
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		save(t, w.module, gate(t, i+2))
		p.runs("x-build", build(i+2))
	}
	began := time.Now()
	w.endServer(syscall.SIGTERM)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s to end", took)
	}
}
