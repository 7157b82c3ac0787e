// Package sandbox runs preflight in child processes of the server's own program, which the system keeps
// from files, from the network and from more memory and CPU time than they were given: the worst module
// ends a child.
package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/lockdown"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// Argument is the argument that a program is started with to be a child. It is to call Serve then.
const Argument = "sandbox"

// How many children there may be, besides one that waits for its first module.
const (
	maxAtWork = 4 // at once
	maxKept   = 3 // that have a module ready and nothing to do

	// A fresh one takes the place of one that has had as many tries, or more modules.
	maxTries   = 64
	maxModules = 4
)

// A Problem is an error that says nothing of the filter: a child could not be started, or was ended by
// somebody else. The filter may be tried again.
type Problem struct{ Err error }

func (p *Problem) Error() string { return "the sandbox: " + p.Err.Error() }

func (p *Problem) Unwrap() error { return p.Err }

// Again says that the filter is worth trying once more.
func (*Problem) Again() bool { return true }

// A Pool tries filters in children, as a preflight.Sandbox does in its own process. It can be used by several
// goroutines.
type Pool struct {
	log     *slog.Logger
	limits  preflight.Limits
	lookup  func(string) (string, bool)
	command func() *exec.Cmd
	atWork  chan struct{} // an element for each child at work
	starts  chan start    // for the starter
	done    chan struct{} // closed at its end

	// For tests; they are 0 and nil otherwise.
	most    uint64        // bytes that a child may have
	seconds uint64        // of CPU time that a child may have
	hired   func(pid int) // is told of each child that has a job

	mu     sync.Mutex
	warm   *process   // nil where none is
	kept   []*process // the one used last is last
	closed bool
	told   bool // people know what holds the children
}

// start is a command that is to be started, and where is said whether it was.
type start struct {
	cmd  *exec.Cmd
	done chan error
}

// New makes a pool, and starts its first child. lookup finds the variables that a plugin's
// environment_variables.host_env_keys names.
func New(log *slog.Logger, limits preflight.Limits, lookup func(string) (string, bool)) *Pool {
	return poolOf(log, limits, lookup, itself)
}

// poolOf makes a pool of children that a command starts.
func poolOf(log *slog.Logger, limits preflight.Limits, lookup func(string) (string, bool), command func() *exec.Cmd) *Pool {
	p := &Pool{
		log: log, limits: limits, lookup: lookup, command: command,
		atWork: make(chan struct{}, maxAtWork), starts: make(chan start), done: make(chan struct{}),
	}
	go p.starter()
	p.fill()
	return p
}

// itself is the command that runs this program as a child. On Linux that is the file which runs now, also after an
// upgrade has put another in its place.
func itself() *exec.Cmd {
	path, err := os.Executable()
	if runtime.GOOS == "linux" {
		if _, there := os.Stat("/proc/self/exe"); there == nil {
			path, err = "/proc/self/exe", nil
		}
	}
	return &exec.Cmd{Path: path, Args: []string{os.Args[0], Argument}, Env: []string{}, Dir: "/", Err: err}
}

// starter starts all children from one thread: the kernel ends them with the thread that started them.
func (p *Pool) starter() {
	runtime.LockOSThread() // for good: it ends with the pool
	for {
		select {
		case s := <-p.starts:
			s.done <- s.cmd.Start()
		case <-p.done:
			return
		}
	}
}

// Ready waits for the first child, and returns why there can be none.
func (p *Pool) Ready(ctx context.Context) error {
	p.mu.Lock()
	c := p.warm
	p.mu.Unlock()
	if c == nil {
		return nil // it has work already
	}
	select {
	case <-c.started:
		return c.failed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all children.
func (p *Pool) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	all := p.kept
	if p.warm != nil {
		all = append(all, p.warm)
	}
	p.warm, p.kept, p.closed = nil, nil, true
	p.mu.Unlock()
	for _, c := range all {
		c.end()
		<-c.exited
	}
	close(p.done)
}

// fill has a child wait for the next module, unless one does.
func (p *Pool) fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.warm == nil && !p.closed {
		p.warm = p.start()
	}
}

// take returns a child that has a module ready, with as much memory, or else a fresh one. It is the caller's until
// that gives it back or ends it.
func (p *Pool) take(digest string, memory uint64) *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = slices.DeleteFunc(p.kept, (*process).gone)
	for i, c := range p.kept {
		if c.digest == digest && c.memory == memory {
			p.kept = append(p.kept[:i:i], p.kept[i+1:]...)
			return c
		}
	}
	c := p.warm
	p.warm = nil
	if c == nil || c.gone() {
		c = p.start()
	}
	c.digest, c.memory = digest, memory
	return c
}

// give takes a child back that has done its work, and keeps it or ends it.
func (p *Pool) give(c *process) {
	p.mu.Lock()
	var ends *process
	switch {
	case p.closed || c.tries >= maxTries || len(c.has) > maxModules:
		ends = c
	default:
		p.kept = append(p.kept, c)
		if len(p.kept) > maxKept {
			ends, p.kept = p.kept[0], p.kept[1:]
		}
	}
	p.mu.Unlock()
	if ends != nil {
		ends.end()
	}
}

// tell logs, once, what holds the children.
func (p *Pool) tell(r ready) {
	p.mu.Lock()
	told := p.told
	p.told = true
	p.mu.Unlock()
	switch {
	case told:
	case r.Missing != "" && !slices.Contains(r.Force, lockdown.Seccomp):
		p.log.Warn("filters are tried in a process of their own, which may open files and sockets", "held_by", r.Force.String(), "missing", r.Missing)
	default:
		p.log.Info("filters are tried in a process of their own", "held_by", r.Force.String(), "missing", r.Missing)
	}
}

// How long a child may take to be ready, and to be gone.
const (
	startTime = 30 * time.Second
	endTime   = 5 * time.Second
)

// problem is a *Problem.
func problem(format string, args ...any) error { return &Problem{fmt.Errorf(format, args...)} }
