// Package process runs programs beside this one, for tests, demo and benchmarks: each has a
// log, is in no terminal's process group, and is ended by whoever started it. It imports the
// standard library alone, so that the demo starts at once.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// grace is how long a process may take to end when it is told to.
const grace = 5 * time.Second

// A Process is a running program.
type Process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended, once done is closed
}

// Start runs a command. What it writes, but for what the command has a place for already,
// is added to the log, a file; "" for none.
func Start(cmd *exec.Cmd, log string) (*Process, error) {
	p := &Process{name: filepath.Base(cmd.Path), log: log, cmd: cmd, done: make(chan struct{})}
	if log != "" {
		out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return nil, fmt.Errorf("starting %s: %w", p.name, err)
		}
		defer out.Close() //nolint:errcheck // the process has its own descriptor
		if cmd.Stdout == nil {
			cmd.Stdout = out
		}
		if cmd.Stderr == nil {
			cmd.Stderr = out
		}
	}
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended is how it ended, nil for exit status 0, once Done is closed.
func (p *Process) Ended() error { return p.err }

// Stop ends it and waits until it has: first politely, and for good 5 s later.
func (p *Process) Stop() {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		p.Kill()
	}
}

// Kill ends it at once, as a crash does.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Signal sends it a signal, if it runs still.
func (p *Process) Signal(s os.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(fmt.Sprintf("signalling process %d, a child of ours: %v", p.PID(), err))
	}
}
