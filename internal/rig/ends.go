package rig

import (
	"fmt"
	"os"
	"slices"
)

// Save renames a file into place, as a build does.
func Save(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return fmt.Errorf("saving: %w", err)
	}
	return os.Rename(path+".new", path)
}

// Ends is what is to be done at the end, the last first.
type Ends []func()

// Add adds to it.
func (e *Ends) Add(f func()) { *e = append(*e, f) }

// End does it.
func (e *Ends) End() {
	for _, f := range slices.Backward(*e) {
		f()
	}
}

// Folder makes a folder that is gone at the end.
func (e *Ends) Folder() (string, error) {
	dir, err := os.MkdirTemp("", "waxwing-*")
	e.Add(func() { _ = os.RemoveAll(dir) })
	return dir, err
}
