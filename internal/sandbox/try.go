package sandbox

import (
	"context"
	"errors"

	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// Try tries a filter: preflight.Sandbox.Try. The error may also be a *Problem.
func (p *Pool) Try(ctx context.Context, plugin preflight.Plugin) (preflight.Report, error) {
	r, err := p.run(ctx, plugin, nil)
	return r.Report, err
}

// Replay asks a filter requests: preflight.Sandbox.Replay.
func (p *Pool) Replay(ctx context.Context, plugin preflight.Plugin, what *preflight.Replay) ([]string, error) {
	text, err := what.Text()
	if err != nil {
		return nil, err
	}
	r, err := p.run(ctx, plugin, text)
	return r.Answers, err
}

// run runs a job in a child when one may work, and once more where that was a *Problem.
func (p *Pool) run(ctx context.Context, tried preflight.Plugin, replay []byte) (result, error) {
	select {
	case p.atWork <- struct{}{}:
		defer func() { <-p.atWork }()
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
	r, err := p.once(ctx, tried, replay)
	if problem := (*Problem)(nil); ctx.Err() == nil && errors.As(err, &problem) {
		p.log.Warn("a filter is tried once more: its sandbox has ended, and not by the filter", "filter", tried.Name, "error", problem.Err)
		r, err = p.once(ctx, tried, replay)
	}
	if ctx.Err() != nil {
		return result{}, ctx.Err()
	}
	return r, err
}

// once runs a job in a child.
func (p *Pool) once(ctx context.Context, tried preflight.Plugin, replay []byte) (result, error) {
	j := job{Limits: p.limits, Replay: replay, Memory: p.memory(tried)}
	var err error
	if j.Plugin, err = packed(tried, p.lookup); err != nil {
		return result{}, err
	}
	c := p.take(tried.Module.Digest, j.Memory)
	defer p.fill() // not beside the try, for which its start would be what it waits for
	if j.CPU = c.budget(p.limits, tried); p.seconds > 0 {
		j.CPU = p.seconds
	}
	c.hired = p.hired
	r, err := c.run(ctx, j, tried, func(s preflight.Plugin) (plugin, error) { return packed(s, p.lookup) })
	if ctx.Err() != nil {
		go p.settle(c)
		return result{}, ctx.Err()
	}
	if err != nil {
		c.end()
		return r, err
	}
	if r.Cancel || r.Err != "" {
		c.end()
		if r.Err != "" {
			err = errors.New(r.Err)
		}
		return r, err
	}
	p.give(c)
	if r.Refused != nil {
		return r, r.Refused
	}
	return r, nil
}

// settle has a child give up what nobody wants any more. What it has made ready serves the next try of the module.
func (p *Pool) settle(c *process) {
	if c.cancel() {
		p.give(c)
	} else {
		c.end()
	}
}

// memory is how many bytes a child may have for a filter: the filter's limit for each of the VMs that there may be
// at a time, room for its module and the one that is served when they are compiled, and Go's own. It is far above
// the limits that preflight counts by itself: it is for what preflight does not count.
func (p *Pool) memory(plugin preflight.Plugin) uint64 {
	if p.most > 0 {
		return p.most
	}
	one := uint64(preflight.DefaultLimits.Memory)
	if p.limits.Memory > 0 {
		one = uint64(p.limits.Memory)
	}
	if plugin.Limits.Memory > 0 {
		one = uint64(plugin.Limits.Memory)
	}
	code := min(uint64(len(plugin.Module.Bytes))*codeGrows, maxCode)
	return ownMemory + code + atOnce*one
}

const (
	ownMemory = 384 << 20 // bytes, of Go's runtime and what any child needs
	codeGrows = 128       // times that a module may take compiled, at most maxCode bytes
	maxCode   = 4 << 30
	atOnce    = 4 // VMs
)
