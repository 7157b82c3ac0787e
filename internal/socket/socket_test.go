package socket

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// killed leaves a socket that nobody listens at.
func killed(t *testing.T, path string) {
	t.Helper()
	if err := rig.LeaveSocket(path); err != nil {
		t.Fatal(err)
	}
}

// short is a folder whose path has room for a socket.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") //nolint:usetesting // a test's own may be too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// Of many servers that start at once on a socket that was left, one has it.
func TestOneOfMany(t *testing.T) {
	path := filepath.Join(short(t), "a.sock")
	killed(t, path)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var have []net.Listener
	for range 30 {
		wg.Go(func() {
			l, err := Listen(t.Context(), path, 0o600)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				have = append(have, l)
			} else if !errors.Is(err, ErrInUse) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(have) != 1 {
		t.Fatalf("%d servers have it", len(have))
	}
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the one that has it is not reached: %v", err)
	} else {
		c.Close()
	}
	if got := mode(t, path).Perm(); got != 0o600 {
		t.Errorf("its mode is %o", got)
	}
	have[0].Close()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its end leaves %v", err)
	}
}

// A server that lives and is too busy to take a connection is not taken for one that is gone.
func TestBusyIsNotGone(t *testing.T) {
	path := filepath.Join(short(t), "a.sock")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for range 10 { // until it has no room for more
		other, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(other)
		if err := syscall.SetNonblock(other, true); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Connect(other, &syscall.SockaddrUnix{Name: path})
	}
	if l, err := Listen(t.Context(), path, 0o600); !errors.Is(err, ErrInUse) {
		t.Errorf("%v, %v", l, err)
	}
	if mode(t, path)&fs.ModeSocket == 0 {
		t.Error("it is gone")
	}
}

// What is no socket is left alone, and so is a link to one.
func TestWhatIsInTheWay(t *testing.T) {
	dir := short(t)
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	killed(t, filepath.Join(dir, "old"))
	if err := os.Symlink("old", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		before := mode(t, path)
		if l, err := Listen(t.Context(), path, 0o600); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", path, l, err)
		}
		if after := mode(t, path); after != before {
			t.Errorf("%s was %v, and is %v", path, before, after)
		}
	}
}

func TestLengths(t *testing.T) {
	dir := short(t)
	fits := filepath.Join(dir, strings.Repeat("x", MaxPath-len(dir)-1))
	l, err := Listen(t.Context(), fits, 0)
	if err != nil {
		t.Fatalf("%d bytes: %v", len(fits), err)
	}
	defer l.Close()
	if _, err := Listen(t.Context(), fits+"x", 0); !errors.Is(err, ErrTooLong) {
		t.Errorf("%d bytes: %v", len(fits)+1, err)
	}
	if _, err := Listen(t.Context(), filepath.Join(dir, "none", "a"), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not: %v", err)
	}
}
