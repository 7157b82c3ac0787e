package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a file is called, it is refused, or is kept in the directory, where it is found again as
// it was; and nothing beside the directory is touched.
func FuzzDir(f *testing.F) {
	for _, name := range []string{"fleets/edge.json", "revisions/edge/1b9a.pb", "../x", "revisions/edge/../../../x.pb", "", ".", "/etc/x", "a\x00b", "damaged", ".saving-1", "a/../b", "identity", "lock"} {
		f.Add(name, []byte("text"))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		root := t.TempDir()
		d, err := Open(filepath.Join(root, "state"))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := d.Save(name, data); err == nil {
			if got, err := d.Load(name); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%q is kept, and not found again: %v", name, err)
			}
			kept(t, d, name, data)
		}
		if aside, err := d.SetAside(name); err == nil {
			if _, err := d.Load(name); aside != name && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q is put aside as %q, and is there still: %v", name, aside, err)
			}
		}
		_ = d.Remove(name)
		if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 {
			t.Errorf("%q made something beside the directory: %v", name, entries)
		}
	})
}

// kept holds that a file is listed, unless it is hidden.
func kept(t *testing.T, d *Dir, name string, data []byte) {
	t.Helper()
	folder, base := filepath.Split(name)
	folder = filepath.Clean(folder)
	names, err := d.List(folder)
	if err != nil {
		t.Errorf("%q can't be listed: %v", folder, err)
	}
	for _, there := range names {
		if there == base {
			return
		}
	}
	if !strings.HasPrefix(base, ".") {
		t.Errorf("%q with %d bytes is not listed: %q", name, len(data), names)
	}
}
