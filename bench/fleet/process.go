package main

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// command is what the benchmark tells one of its processes, in a line of JSON.
type command struct {
	Do       string `json:"do"`
	N        int    `json:"n,omitempty"`        // proxies
	Kind     kind   `json:"kind,omitempty"`     // of change
	Revision int    `json:"revision,omitempty"` // for the proxies with an even number
	Odd      int    `json:"odd,omitempty"`      // for the others
	Address  string `json:"address,omitempty"`
	Module   string `json:"module,omitempty"`
	Whole    bool   `json:"whole,omitempty"` // bin/xds

	Certificates string `json:"certificates,omitempty"` // folder of them; "": plain text
}

// answer is the line that comes back.
type answer struct {
	Address string  `json:"address,omitempty"`
	At      []int64 `json:"at,omitempty"` // moments, by proxy, as now() has them
	Bytes   int64   `json:"bytes,omitempty"`
	Filters int     `json:"filters,omitempty"` // responses with filters
	Flushes int64   `json:"flushes,omitempty"` // of metrics
	Reports int64   `json:"reports,omitempty"` // of health
	Memory  memory  `json:"memory,omitzero"`
}

// memory is where a server's memory is, in bytes.
type memory struct {
	Heap, Stacks, Goroutines, Connections int64
}

// part is one of the benchmark's processes.
type part struct{ *rig.Part }

func start(ctx context.Context, args ...string) (*part, error) {
	p, err := rig.StartPart(ctx, args...)
	return &part{p}, err
}

// tell sends a command and returns its answer.
func (p *part) tell(c command) (answer, error) { return rig.Tell[answer](p.Part, c) }

// now is the moment on a clock that all processes share, in nanoseconds.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // Linux has it
	}
	return t.Nano()
}
