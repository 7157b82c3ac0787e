package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig/process"
)

// A Server is `xds serve` with addresses, files and a state of its own, which outlive the
// process: it can be started again.
type Server struct {
	*process.Process // that runs or ran last, nil before the first

	Path          string // of the binary
	Dir           string // has all of its files
	Listen, Admin string // addresses
	Fleet         string // path of its fleet file or the folder of several, fleet.yaml in Dir if ""
	Flags         []string
	API           *api.Client
	Stderr        *os.File // of the process; nil for its log, xds.log in Dir
}

// NewServer is one that does not run yet.
func NewServer(path, dir string, flags ...string) (*Server, error) {
	s := &Server{Path: path, Dir: dir, Flags: flags}
	for _, address := range []*string{&s.Listen, &s.Admin} {
		var err error
		if *address, err = FreeAddress(); err != nil {
			return nil, err
		}
	}
	s.API = api.New(s.Admin)
	return s, nil
}

// File is the path of one of its files.
func (s *Server) File(name string) string { return filepath.Join(s.Dir, name) }

// Save saves one of its files.
func (s *Server) Save(name string, data []byte) error { return Save(s.File(name), data) }

// Start runs it, and waits until it answers.
func (s *Server) Start(ctx context.Context) (err error) {
	fleet := s.Fleet
	if fleet == "" {
		fleet = s.File("fleet.yaml")
	}
	cmd := exec.Command(s.Path, slices.Concat([]string{ //nolint:noctx // Stop ends it
		"serve", "--config", os.DevNull, "--fleet", fleet, "--state", s.File("state"), "--listen", s.Listen, "--admin", s.Admin,
	}, s.Flags)...)
	if s.Stderr != nil {
		cmd.Stderr = s.Stderr
	}
	if s.Process, err = process.Start(cmd, s.File("xds.log")); err != nil {
		return err
	}
	return Until(ctx, func() error {
		select {
		case <-s.Done():
			return Never(s.Err())
		default:
			return s.API.Healthy(ctx)
		}
	})
}

// Save renames a file into place, as a build does.
func Save(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return fmt.Errorf("saving: %w", err)
	}
	return os.Rename(path+".new", path)
}

// Until asks, some fifty times a second, until it is so; or until the context ends, and
// then says what it was told last. What Never wraps ends it at once.
func Until(ctx context.Context, so func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := so()
		if last := (never{}); err == nil || errors.As(err, &last) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// Never says that what is waited for will never be so.
func Never(err error) error { return never{err} }

type never struct{ error }

func (n never) Unwrap() error { return n.error }

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
