package rig

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

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
