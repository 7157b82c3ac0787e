package sandbox

import (
	"context"
	"errors"
	"time"

	"github.com/waxwing-xds/waxwing/internal/lockdown"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// A child at work: what it is told, how long it may take, and what it may answer.

// budget gives it CPU time for one more try, and returns how many seconds it has in all since its start. That is far
// more than preflight's own limits allow: it is for what takes time that preflight does not count.
func (c *process) budget(l preflight.Limits, p preflight.Plugin) uint64 {
	start, call := preflight.DefaultLimits.Start, preflight.DefaultLimits.Call
	for _, own := range []preflight.Limits{l, {Start: p.Limits.Start, Call: p.Limits.Call}} {
		if own.Start > 0 {
			start = own.Start
		}
		if own.Call > 0 {
			call = own.Call
		}
	}
	const perMiB = 10 * time.Second // of a module, to compile it
	all := time.Minute/2 + 3*start + 10*call*time.Duration(4+len(p.Checks)) + perMiB*time.Duration(len(p.Module.Bytes)>>20)
	c.cpu += uint64(all / time.Second)
	return c.cpu
}

// run has it do a job. p is what it tries, and pack makes what is served ready to be sent. An error is a refusal of
// the filter (*preflight.Error), a *Problem or the context's.
func (c *process) run(ctx context.Context, j job, p preflight.Plugin, pack func(preflight.Plugin) (plugin, error)) (result, error) {
	select {
	case <-c.started:
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
	if c.failed != nil {
		return result{}, c.failed
	}
	if err := lockdown.Bound(c.cmd.Process.Pid, j.Memory+j.Memory/4+threads, j.CPU); err != nil {
		return result{}, problem("%w", err)
	}
	c.tries++
	if err := c.send(order{Job: &j}, &j.Plugin, p); err != nil {
		return result{}, c.died(p, j)
	}
	if c.hired != nil {
		c.hired(c.cmd.Process.Pid)
	}
	return c.answers(ctx, j, p, pack)
}

// answers waits for the result of a job that was sent, and says meanwhile what is served, if the child asks for it.
func (c *process) answers(ctx context.Context, j job, p preflight.Plugin, pack func(preflight.Plugin) (plugin, error)) (result, error) {
	patience := leastWall + slowest*time.Duration(j.CPU)*time.Second
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		select {
		case s := <-c.says:
			switch {
			case s.err != nil:
				return result{}, c.died(p, j)
			case s.Died != "":
				return result{}, preflight.Died(p.Name, s.Died)
			case s.Serve:
				if err := c.serve(p, pack); err != nil {
					return result{}, c.died(p, j)
				}
			case s.Result != nil:
				return *s.Result, s.Result.matches(j)
			}
		case <-deadline.C:
			return result{}, problem("its process has no answer after %v", patience)
		case <-ctx.Done():
			return result{}, ctx.Err()
		}
	}
}

// threads is what the stacks of its threads may take, in bytes: 8 MiB each in a build with cgo, of which few are used.
const threads = 512 << 20

// A try may take leastWall, and slowest times the CPU time that it may have: machines are busy.
const (
	slowest   = 5
	leastWall = 2 * time.Minute
)

// send sends an order, with the bytes of its module unless the child has them already.
func (c *process) send(o order, packed *plugin, p preflight.Plugin) error {
	var follows []byte
	if digest := p.Module.Digest; !c.has[digest] {
		c.has[digest], packed.Follows, follows = true, true, p.Module.Bytes
	}
	return c.pipe.write(o, follows)
}

// serve tells it what is served, which it has asked for.
func (c *process) serve(p preflight.Plugin, pack func(preflight.Plugin) (plugin, error)) error {
	if p.Served == nil {
		return errors.New("nobody said that something is")
	}
	s, err := p.Served()
	var packed plugin
	if err == nil {
		packed, err = pack(s)
	}
	if err != nil {
		return c.pipe.write(order{Served: &served{Err: err.Error()}}, nil)
	}
	told := served{Plugin: packed}
	return c.send(order{Served: &told}, &told.Plugin, s)
}

// matches reports what can't be an answer to a job: it may be that of a module which has taken the child over.
func (r *result) matches(j job) error {
	lines := map[int]bool{}
	for _, check := range j.Plugin.Checks {
		lines[check.Line] = true
	}
	for _, o := range r.Report.Outcomes {
		if !lines[o.Line] || o.Err != nil && !lines[o.Err.Line] {
			return preflight.Died(j.Plugin.Name, "its sandbox answers what nobody has asked")
		}
	}
	if e := r.Refused; e != nil && e.Line != 0 && !lines[e.Line] {
		return preflight.Died(j.Plugin.Name, "its sandbox answers what nobody has asked")
	}
	return nil
}
