package rig

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/process"
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

// salt has edge-2 first, then edge-1, edge-3, edge-0 and edge-4: a test may say who is the canary.
const salt = "a salt that the tests have: 000121"

// salted has a new state directory rank proxies as all of them do.
func (s *Server) salted() error {
	file := s.File("state/salt")
	if _, err := os.Stat(filepath.Dir(file)); !errors.Is(err, fs.ErrNotExist) {
		return nil // a test's own, or there is one
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(salt), 0o600)
}

// Start runs it, and waits until it answers.
func (s *Server) Start(ctx context.Context) (err error) {
	fleet := s.Fleet
	if fleet == "" {
		fleet = s.File("fleet.yaml")
	}
	if err := s.salted(); err != nil {
		return err
	}
	cmd := exec.Command(s.Path, slices.Concat([]string{ //nolint:noctx // Stop ends it
		"serve", "--config", os.DevNull, "--fleet", fleet, "--state", s.File("state"), "--listen", s.Listen, "--admin", s.Admin,
		"--allow-path", s.Dir, "--allow-path", filepath.Dir(fleet),
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
