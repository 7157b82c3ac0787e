package certs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// A file is what is to be in one.
type file struct {
	data []byte
	mode fs.FileMode
}

// swap puts files into a folder all at once, as Kubernetes does: they are links through ..data,
// which is one that is renamed over. Who reads certificate and key gets those that belong
// together. Files that are not named stay.
func swap(dir string, files map[string]file, mode fs.FileMode) error {
	before, err := os.Readlink(filepath.Join(dir, "..data"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all, changed, err := merged(filepath.Join(dir, before), files, before != "")
	if err != nil || !changed {
		return err
	}
	next, err := os.MkdirTemp(dir, "..")
	if err != nil {
		return err
	}
	if err := os.Chmod(next, mode); err != nil {
		return err
	}
	for name, f := range all {
		if err := os.WriteFile(filepath.Join(next, name), f.data, f.mode); err != nil {
			return err
		}
	}
	link := filepath.Join(dir, "..new")
	if err := os.Symlink(filepath.Base(next), link); err != nil {
		return err
	}
	if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
		return err
	}
	for name := range all {
		if err := linked(dir, name); err != nil {
			return err
		}
	}
	return removed(dir, before)
}

// merged are the files of before with those of now, and whether that is a difference.
func merged(dir string, files map[string]file, exists bool) (all map[string]file, changed bool, err error) {
	all = map[string]file{}
	var entries []fs.DirEntry
	if exists {
		if entries, err = os.ReadDir(dir); err != nil {
			return nil, false, err
		}
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, false, err
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, false, err
		}
		all[e.Name()] = file{data, info.Mode().Perm()}
	}
	for name, f := range files {
		old, ok := all[name]
		changed = changed || !ok || !bytes.Equal(old.data, f.data)
	}
	maps.Copy(all, files)
	return all, changed, nil
}

// linked makes a name lead through ..data.
func linked(dir, name string) error {
	path := filepath.Join(dir, name)
	if to, err := os.Readlink(path); err == nil && to == filepath.Join("..data", name) {
		return nil
	}
	link := filepath.Join(dir, "..link")
	if err := os.Symlink(filepath.Join("..data", name), link); err != nil {
		return err
	}
	return os.Rename(link, path)
}

func removed(dir, before string) error {
	if before == "" || !strings.HasPrefix(before, "..") || strings.Contains(before, "/") {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(dir, before)); err != nil {
		return fmt.Errorf("what was there before: %w", err)
	}
	return nil
}
