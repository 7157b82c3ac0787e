package sandbox

import (
	"errors"
	"io"
	"os/exec"
	"sync"
	"time"
)

// process is a child, as its parent sees it. One goroutine uses it at a time.
type process struct {
	cmd    *exec.Cmd
	pipe   *pipe
	input  io.WriteCloser
	errs   *lastWords
	digest string          // of the module that it is for
	memory uint64          // bytes that it may have
	has    map[string]bool // modules that it was sent, by digest
	tries  int             // that were begun
	cpu    uint64          // seconds that it was given, in all

	hired    func(pid int) // see Pool
	launched chan struct{} // closed when it runs
	started  chan struct{} // closed when it is ready, or has failed
	failed   error         // why it is not ready; a *Problem
	says     chan said     // all but its first word
	exited   chan struct{} // closed when it is gone, or could not be launched
	ending   sync.Once
}

// said is an answer, or the end of them.
type said struct {
	answer
	err error
}

// start starts a child, and returns at once.
func (p *Pool) start() *process {
	c := &process{has: map[string]bool{}, errs: &lastWords{}, launched: make(chan struct{}), started: make(chan struct{}), says: make(chan said, 1), exited: make(chan struct{})}
	go func() {
		defer close(c.started)
		if err := c.launch(p); err != nil {
			c.failed = problem("its process can't be started: %w", err)
			close(c.exited)
			return
		}
		first := make(chan said, 1)
		go c.listen(first)
		select {
		case s := <-first:
			if s.Ready == nil {
				c.end()
				c.failed = problem("its process does not start: %s", c.why())
				return
			}
			p.tell(*s.Ready)
		case <-time.After(startTime):
			c.end()
			c.failed = problem("its process is not ready after %v", startTime)
		}
	}()
	return c
}

// launch starts its process by the pool's starter.
func (c *process) launch(p *Pool) error {
	c.cmd = p.command()
	c.cmd.SysProcAttr, c.cmd.Stderr = attributes(), c.errs
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	s := start{c.cmd, make(chan error, 1)}
	select {
	case p.starts <- s:
	case <-p.done:
		return errors.New("the server ends")
	}
	if err := <-s.done; err != nil {
		return err
	}
	c.input, c.pipe = in, newPipe(out, in)
	close(c.launched)
	return nil
}

// listen passes on what the child says, its first word to first and the rest to says, and waits for its end.
func (c *process) listen(first chan said) {
	to := first
	for {
		var s said
		_, s.err = c.pipe.read(&s.answer, maxSaid, 0)
		if s.err != nil {
			_ = c.cmd.Process.Kill() // it has nothing more to say
			_ = c.cmd.Wait()
			close(c.exited)
			to <- s
			return
		}
		to <- s
		to = c.says
	}
}

// gone is whether it has ended.
func (c *process) gone() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// cancel has it give up its job, and reports whether it has: then it can be given another.
func (c *process) cancel() bool {
	<-c.started // also where it has exited: failed is not to be read before
	if c.failed != nil || c.tries == 0 {
		return false
	}
	if err := c.pipe.write(order{Cancel: true}, nil); err != nil {
		return false
	}
	for patience := time.After(endTime); ; {
		select {
		case s := <-c.says:
			switch {
			case s.Result != nil:
				return true
			case s.Serve && c.pipe.write(order{Served: &served{Err: "nobody waits any more"}}, nil) == nil:
			default:
				return false
			}
		case <-patience:
			return false
		}
	}
}

// end ends it, if nobody has yet, and does not wait for that.
func (c *process) end() {
	c.ending.Do(func() {
		go func() {
			select {
			case <-c.launched:
			case <-c.exited:
				return
			}
			_ = c.cmd.Process.Kill()
			for {
				select {
				case <-c.says: // nobody listens any more
				case <-c.exited:
					return
				}
			}
		}()
	})
}
