package controltest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// ErrDisk is why a Store fails that is to.
var ErrDisk = errors.New("the disk is full")

// A Store keeps state in memory, and fails or hangs if it is told to.
type Store struct {
	mu     sync.Mutex
	files  map[string][]byte
	aside  []string
	full   bool
	keeps  bool
	opened chan struct{} // closed while saves are let through
}

// NewStore makes an empty one that works.
func NewStore() *Store {
	s := &Store{files: map[string][]byte{}, opened: make(chan struct{})}
	close(s.opened)
	return s
}

// Fail has it take nothing from now on, or take everything again.
func (s *Store) Fail(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

// Keep has it remove nothing from now on, or everything again.
func (s *Store) Keep(keeps bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keeps = keeps
}

// Hang has saves and removals wait until what it returns is called.
func (s *Store) Hang() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	opened := make(chan struct{})
	s.opened = opened
	return sync.OnceFunc(func() { close(opened) })
}

// Names are those of the files whose names begin with something.
func (s *Store) Names(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.files)), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

// Damage has files, whose names begin with something, hold something else.
func (s *Store) Damage(prefix string) {
	for _, name := range s.Names(prefix) {
		s.mu.Lock()
		s.files[name] = []byte("damaged")
		s.mu.Unlock()
	}
}

// Restore has a file hold what it held when this was called, when what it returns is.
func (s *Store) Restore(name string) (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := s.files[name]
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.files[name] = data
	}
}

// Aside names the files that were put aside.
func (s *Store) Aside() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.aside)
}

// write waits its turn to change the files.
func (s *Store) write(name string, change func()) error {
	s.mu.Lock()
	opened := s.opened
	s.mu.Unlock()
	<-opened
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return fmt.Errorf("saving %s: %w", name, ErrDisk)
	}
	change()
	return nil
}

// Identity implements control.Store.
func (s *Store) Identity(prefix string) (string, error) { return prefix + "here", nil }

// Salt implements control.Store: there is none, so that who is first in a test is always the same.
func (s *Store) Salt() (string, error) { return "", nil }

// Save implements control.Store.
func (s *Store) Save(name string, data []byte) error {
	return s.write(name, func() { s.files[name] = slices.Clone(data) })
}

// Remove implements control.Store.
func (s *Store) Remove(name string) error {
	s.mu.Lock()
	keeps := s.keeps
	s.mu.Unlock()
	if keeps {
		return fmt.Errorf("removing %s: %w", name, fs.ErrPermission)
	}
	return s.write(name, func() { delete(s.files, name) })
}

// Load implements control.Store.
func (s *Store) Load(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.files[name]
	if !ok {
		return nil, fmt.Errorf("loading %s: %w", name, fs.ErrNotExist)
	}
	return slices.Clone(data), nil
}

// List implements control.Store.
func (s *Store) List(folder string) ([]string, error) {
	var out []string
	for _, name := range s.Names(folder + "/") {
		out = append(out, path.Base(name))
	}
	return out, nil
}

// SetAside implements control.Store.
func (s *Store) SetAside(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, name)
	s.aside = append(s.aside, name)
	return "damaged/" + name, nil
}
