// Package store keeps what must survive the server: one folder of small files,
// each replaced as a whole or not at all.
package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// saving begins the name of a file that is being written.
const saving = ".saving-"

// A Dir is a state directory, held by this process alone.
type Dir struct {
	path string
	lock *os.File
}

// Open makes the directory if need be and takes it: two servers that wrote to
// one would undo each other's work.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := takeLock(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("state directory %s: another server has it: %w", path, err), lock.Close())
	}
	return &Dir{path: path, lock: lock}, sweep(path)
}

// sweep removes what saves left that a crash cut short.
func sweep(path string) error {
	return filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(e.Name(), saving) {
			err = os.Remove(path) //nolint:gosec // a folder of our own, that no one else writes
		}
		if err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
		return nil
	})
}

// Close gives the directory back.
func (d *Dir) Close() error { return d.lock.Close() }

// Save writes a file as a whole: after a crash at any moment the old content is
// there, or the new. name has slashes for folders.
func (d *Dir) Save(name string, data []byte) (err error) {
	path := filepath.Join(d.path, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), saving+"*")
	if err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the error that counts is the first
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in a folder last.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("storing: syncing %s: %w", path, err)
	}
	return nil
}

// Load reads a file; errors.Is(err, fs.ErrNotExist) when there is none.
func (d *Dir) Load(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(d.path, filepath.FromSlash(name)))
	if err != nil {
		return nil, fmt.Errorf("loading: %w", err)
	}
	return data, nil
}

// Identity is a name that the directory was given when it was first asked for it, then
// with that prefix, and that no other one has.
func (d *Dir) Identity(prefix string) (string, error) {
	const file = "identity"
	name, err := d.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		name = []byte(prefix + rand.Text())
		err = d.Save(file, name)
	}
	return string(name), err
}

// List names the files of a folder, which may be missing.
func (d *Dir) List(folder string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.path, filepath.FromSlash(folder)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", folder, err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Remove removes a file, if it is there.
func (d *Dir) Remove(name string) error {
	if err := os.Remove(filepath.Join(d.path, filepath.FromSlash(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing: %w", err)
	}
	return nil
}

// damaged is the folder of files that could not be read.
const damaged = "damaged"

// SetAside moves a file into the folder "damaged" and returns its name there. One
// that was put there before, from the same folder, is replaced: what is damaged
// must not fill the disk.
func (d *Dir) SetAside(name string) (string, error) {
	folder, ext := path.Dir(name), path.Ext(name)
	if path.Dir(folder) == "." {
		folder = strings.TrimSuffix(name, ext)
	}
	aside := path.Join(damaged, strings.ReplaceAll(folder, "/", "-")+ext)
	to := filepath.Join(d.path, filepath.FromSlash(aside))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", fmt.Errorf("putting %s aside: %w", name, err)
	}
	if err := os.Rename(filepath.Join(d.path, filepath.FromSlash(name)), to); err != nil {
		return "", fmt.Errorf("putting %s aside: %w", name, err)
	}
	return aside, nil
}
