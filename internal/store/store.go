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
	"syscall"
)

// saving begins the name of a file that is being written.
const saving = ".saving-"

// A Dir is a state directory, held by this process alone.
type Dir struct {
	path string
	lock *os.File
}

// Open makes the directory if need be and takes it: two servers that wrote to
// one would undo each other's work. One that is there and takes nothing, since its
// disk is full or read-only, is opened as it is: what is in it can be served, and
// each save says why it fails.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	lock, err := openLock(filepath.Join(path, "lock"))
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := takeLock(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("state directory %s: another server has it: %w", path, err), lock.Close())
	}
	return &Dir{path: path, lock: lock}, sweep(path)
}

func openLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		return f, nil
	}
	if f, readErr := os.Open(name); readErr == nil {
		return f, nil
	}
	return nil, err
}

// sweep removes what saves left that a crash cut short.
func sweep(path string) error {
	return filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(e.Name(), saving) {
			err = os.Remove(path) //nolint:gosec // a folder of our own, that no one else writes
			if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
				err = nil // it is as full as before, and goes when the disk takes something again
			}
		}
		if err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
		return nil
	})
}

// Close gives the directory back.
func (d *Dir) Close() error { return d.lock.Close() }

// at is where a file is, whose name has slashes for folders. A name may have been read from a
// file that is damaged: it leads to nothing outside of the directory.
func (d *Dir) at(name string) (string, error) {
	if !fs.ValidPath(name) || strings.Contains(name, "\x00") {
		return "", fmt.Errorf("%q is no file of the state directory", name)
	}
	return filepath.Join(d.path, filepath.FromSlash(name)), nil
}

// Save writes a file as a whole: after a crash at any moment the old content is
// there, or the new. name has slashes for folders.
func (d *Dir) Save(name string, data []byte) (err error) {
	path, err := d.at(name)
	if err != nil {
		return err
	}
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
	path, err := d.at(name)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("loading: %w", err)
	}
	return data, nil
}

// Identity is a name that the directory was given when it was first asked for it, then
// with that prefix, and that no other one has.
func (d *Dir) Identity(prefix string) (string, error) {
	return d.once("identity", func() string { return prefix + rand.Text() })
}

// Salt is a secret of the directory, made when it was first asked for it: 26 characters that
// nobody can guess.
func (d *Dir) Salt() (string, error) {
	salt, err := d.once("salt", rand.Text)
	if err == nil && len(salt) < len(rand.Text()) { // by a hand, or a disk that lost it
		if _, err = d.SetAside("salt"); err == nil {
			return d.Salt()
		}
	}
	return salt, err
}

// once is the content of a file that is made when it is first asked for, and then stays.
func (d *Dir) once(file string, make func() string) (string, error) {
	text, err := d.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(make())
		err = d.Save(file, text)
	}
	if err != nil {
		return "", err
	}
	return string(text), nil
}

// List names the files of a folder, which may be missing.
func (d *Dir) List(folder string) ([]string, error) {
	path, err := d.at(folder)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
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
	path, err := d.at(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
	from, err := d.at(name)
	if err != nil {
		return "", err
	}
	folder, ext := path.Dir(name), path.Ext(name)
	if path.Dir(folder) == "." {
		folder = strings.TrimSuffix(name, ext)
	}
	aside := path.Join(damaged, strings.ReplaceAll(folder, "/", "-")+ext)
	to := filepath.Join(d.path, filepath.FromSlash(aside))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", fmt.Errorf("putting %s aside: %w", name, err)
	}
	if err := os.Rename(from, to); err != nil {
		return "", fmt.Errorf("putting %s aside: %w", name, err)
	}
	return aside, nil
}
