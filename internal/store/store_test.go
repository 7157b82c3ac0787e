package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load("fleets/edge.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("loading what was never saved: %v", err)
	}
	for _, content := range []string{"1", "22", ""} {
		if err := d.Save("fleets/edge.json", []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Load("fleets/edge.json"); err != nil || string(got) != content {
			t.Errorf("loaded %q, %v; want %q", got, err, content)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		if err := d.Save("revisions/"+name, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "c", "never"} {
		if err := d.Remove("revisions/" + name); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := d.List("revisions"); err != nil || !slices.Equal(names, []string{"b"}) {
		t.Errorf("left: %v, %v", names, err)
	}
	if names, err := d.List("nothing"); err != nil || names != nil {
		t.Errorf("a folder that is not there: %v, %v", names, err)
	}
}

// What is damaged is kept, and replaced by the next that is: it does not pile up.
func TestSetAside(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, name := range []string{"fleets/edge.json", "revisions/edge/1.pb", "revisions/edge/2.pb"} {
		if err := d.Save(name, []byte(name)); err != nil {
			t.Fatal(err)
		}
		aside, err := d.SetAside(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.Load(aside); err != nil || string(got) != name {
			t.Errorf("%s has %q, %v", aside, got, err)
		}
		if _, err := d.Load(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there still: %v", name, err)
		}
	}
	if names, err := d.List("damaged"); err != nil || len(names) != 2 {
		t.Errorf("put aside: %v, %v; want one state and one revision", names, err)
	}
}

func TestOneServerAtATime(t *testing.T) {
	path := t.TempDir()
	first, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "another server has it") {
		t.Errorf("opened twice: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// A crash in the middle of a save leaves a file that the next server sweeps up.
	litter := filepath.Join(path, saving+"123")
	if err := os.WriteFile(litter, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(litter); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", litter, err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

// A save that fails leaves the old content and no litter.
func TestFailedSave(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(path, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.Save("taken", []byte("x")); err == nil {
		t.Error("a file was saved over a folder")
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "taken" && e.Name() != "lock" {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestIdentity(t *testing.T) {
	path := t.TempDir()
	first := identity(t, path)
	if again := identity(t, path); first == "" || again != first {
		t.Errorf("it is %q, and then %q", first, again)
	}
	if other := identity(t, t.TempDir()); other == first {
		t.Error("two directories have one identity")
	}
}

func identity(t *testing.T, path string) string {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	name, err := d.Identity("")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// The salt is made once, is secret, and is made anew where it was lost.
func TestSalt(t *testing.T) {
	path := t.TempDir()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	first, err := d.Salt()
	if again, e := d.Salt(); err != nil || e != nil || len(first) < 26 || again != first {
		t.Errorf("it is %d characters, and then the same: %v; %v, %v", len(first), again == first, err, e)
	}
	if info, err := os.Stat(filepath.Join(path, "salt")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(path, "salt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if anew, err := d.Salt(); err != nil || len(anew) < 26 || anew == first {
		t.Errorf("of an empty file: %q, %v", anew, err)
	}
}
