package store

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// asNobody runs a function as a user who may read what is in a directory, and write nothing.
func asNobody(t *testing.T, dir string, run func()) {
	t.Helper()
	const nobody = 65534
	for path, mode := range map[string]os.FileMode{filepath.Join(dir, "lock"): 0o444, dir: 0o555, filepath.Dir(dir): 0o755, filepath.Dir(filepath.Dir(dir)): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() != 0 { // that may write what it may not
		run()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setfsuid(0)
	run()
}

// A server starts on a state directory that takes nothing any more, serves what is in it, and
// keeps others out; what could not be saved can be once the directory takes something again.
func TestReadOnlyDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	before, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	salt, err := before.Salt()
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"salt": 0o444, saving + "1": 0o600} {
		if err := os.WriteFile(filepath.Join(path, name), []byte(salt), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(path, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	var dir *Dir
	asNobody(t, path, func() {
		if _, err := Open(path); err == nil {
			t.Error("two servers have it")
		}
		if err := before.Close(); err != nil {
			t.Fatal(err)
		}
		if dir, err = Open(path); err != nil {
			t.Fatal(err)
		}
		if got, err := dir.Salt(); err != nil || got != salt {
			t.Errorf("the salt: %v", err)
		}
		if err := dir.Save("fleets/edge.json", nil); err == nil {
			t.Error("something was saved where nothing can be")
		}
		if _, err := Open(filepath.Join(path, "none")); err == nil {
			t.Error("a directory was made where none can be")
		}
	})
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := dir.Save("fleets/edge.json", nil); err != nil {
		t.Errorf("the directory takes something again: %v", err)
	}
	if err := dir.Close(); err != nil {
		t.Error(err)
	}
}
