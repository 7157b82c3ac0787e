package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/waxwing-xds/waxwing/bench/gauge"
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
}

// answer is the line that comes back.
type answer struct {
	Err     string  `json:"err,omitempty"`
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

// process is one of the benchmark's processes.
type process struct {
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
}

func start(ctx context.Context, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = gauge.EndsWithParent()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, in: json.NewEncoder(in), out: json.NewDecoder(out)}, nil
}

// tell sends a command and returns its answer.
func (p *process) tell(c command) (answer, error) {
	var a answer
	if err := p.in.Encode(c); err != nil {
		return a, fmt.Errorf("%s: %w", c.Do, err)
	}
	if err := p.out.Decode(&a); err != nil {
		return a, fmt.Errorf("%s: no answer: %w", c.Do, err)
	}
	if a.Err != "" {
		return a, fmt.Errorf("%s: %s", c.Do, a.Err)
	}
	return a, nil
}

// kill ends a process without a word, as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// obey carries out the commands that come in until there are no more.
func obey(handle func(command) (answer, error)) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c command
		switch err := in.Decode(&c); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		a, err := handle(c)
		if err != nil {
			a.Err = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

// now is the moment on a clock that all processes share, in nanoseconds.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // Linux has it
	}
	return t.Nano()
}
