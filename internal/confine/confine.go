// Package confine opens regular files, of a bounded size, that lie in folders which a person has
// named. A fleet file says which modules the server reads; it is not to make the server read what
// its author may not, or wait for a pipe that nobody writes to.
package confine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// DefaultMaxBytes is the size of the largest file that is read where nobody says otherwise: 100 MiB.
const DefaultMaxBytes = 100 << 20

// A Rule says which files may be read. The zero Rule lets any regular file pass.
type Rule struct {
	// Folders are those in which files lie, or in folders of theirs, when symbolic links are
	// resolved, of the file and of the folder. None: anywhere.
	Folders []string
	// MaxBytes is the size of the largest file, in bytes; 0: DefaultMaxBytes.
	MaxBytes int64
	// Setting is what says MaxBytes, for messages; "" where nobody can.
	Setting string
}

// Open opens a file for reading, if the rule lets it. What is no regular file, or is too large, is
// not read. Of a file that does not exist the error is fs.ErrNotExist.
func (r Rule) Open(path string) (*os.File, error) {
	f, err := r.open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat() // of what is open: it may be another by now than what was looked at
	if err == nil {
		err = r.admits(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReadFile reads a file, if the rule lets it.
func (r Rule) ReadFile(path string) ([]byte, error) {
	f, err := r.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	return r.ReadAll(f)
}

// ReadAll reads what Open has opened. The file may have grown since: no more than is allowed is kept.
func (r Rule) ReadAll(f *os.File) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, r.most()+1))
	if err == nil && int64(len(data)) > r.most() {
		return nil, r.tooLarge(f.Name())
	}
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	return data, nil
}

func (r Rule) open(path string) (*os.File, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, opening(path, err)
	}
	if resolved, err = filepath.Abs(resolved); err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	// A device may do something when it is opened, so it is looked at before. Not to wait for the
	// other end of a pipe is for one that comes in between.
	if info, err := os.Stat(resolved); err != nil {
		return nil, opening(path, err)
	} else if err := r.admits(path, info); err != nil {
		return nil, err
	}
	const flags = os.O_RDONLY | syscall.O_NONBLOCK
	if len(r.Folders) == 0 {
		f, err := os.OpenFile(resolved, flags, 0)
		return f, opening(path, err)
	}
	folder, inside, err := r.within(resolved)
	if err != nil {
		return nil, err
	}
	if folder == "" {
		return nil, r.outside(path, resolved)
	}
	// Below the folder, whatever becomes of the path in the meantime.
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, opening(path, err)
	}
	defer root.Close() //nolint:errcheck // opened for reading
	f, err := root.OpenFile(inside, flags, 0)
	return f, opening(path, err)
}

// opening says why a file can't be opened, by the path that people know it by.
func opening(path string, err error) error {
	var at *fs.PathError
	if errors.Is(err, syscall.ENOTDIR) { // below a file there is none
		return &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	if errors.As(err, &at) {
		return &fs.PathError{Op: "open", Path: path, Err: at.Err}
	}
	return err
}

// within finds the folder that a resolved path lies in, and where in it.
func (r Rule) within(resolved string) (folder, inside string, err error) {
	for _, named := range r.Folders {
		folder, err := filepath.EvalSymlinks(named)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			folder, err = filepath.Abs(folder)
		}
		if err != nil {
			return "", "", fmt.Errorf("a folder that files may be read from: %w", err)
		}
		if inside, err := filepath.Rel(folder, resolved); err == nil && filepath.IsLocal(inside) {
			return folder, inside, nil
		}
	}
	return "", "", nil
}

func (r Rule) outside(path, resolved string) error {
	leads := path
	if abs, err := filepath.Abs(path); err != nil || abs != resolved {
		leads += " leads to " + resolved + ", which"
	}
	return fmt.Errorf("%s is outside of the folders that --allow-path names (%s)", leads, strings.Join(r.Folders, ", "))
}

// admits is whether a file is one that may be read.
func (r Rule) admits(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return notAFile(path, "a directory")
	case mode&fs.ModeNamedPipe != 0:
		return notAFile(path, "a named pipe")
	case mode&fs.ModeSocket != 0:
		return notAFile(path, "a socket")
	case !mode.IsRegular():
		return notAFile(path, "a device")
	case info.Size() > r.most():
		return r.tooLarge(path)
	}
	return nil
}

func (r Rule) most() int64 {
	if r.MaxBytes > 0 {
		return r.MaxBytes
	}
	return DefaultMaxBytes
}

func (r Rule) tooLarge(path string) error {
	by := ""
	if r.Setting != "" {
		by = ", as " + r.Setting + " says"
	}
	return fmt.Errorf("%s has more than %d bytes, and is not read%s", path, r.most(), by)
}

func notAFile(path, but string) error { return fmt.Errorf("%s is not a file, but %s", path, but) }
