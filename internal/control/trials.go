package control

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// remembered is how many filters are known to have passed, the last that did.
const remembered = 1024

// trials are the filters' tries in preflight. What passed once, as it is, passes;
// what is being tried is not tried beside that: a build waits for the try that a
// draft began.
type trials struct {
	mu      sync.Mutex
	passed  []string // keys of filters, the newest last
	running map[string]*trial
}

type trial struct {
	done chan struct{} // closed when err is there
	err  error
}

// once tries what this is the key of, or waits for who does.
func (t *trials) once(ctx context.Context, key string, try func(context.Context) error) error {
	for {
		t.mu.Lock()
		if slices.Contains(t.passed, key) {
			t.mu.Unlock()
			return nil
		}
		other := t.running[key]
		if other == nil {
			mine := &trial{done: make(chan struct{})}
			t.running[key] = mine
			t.mu.Unlock()
			return t.run(ctx, key, mine, try)
		}
		t.mu.Unlock()
		select {
		case <-other.done:
			if !errors.Is(other.err, context.Canceled) {
				return other.err
			}
			// Given up by who wanted it, which says nothing of the filter.
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *trials) run(ctx context.Context, key string, mine *trial, try func(context.Context) error) error {
	mine.err = try(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.running, key)
	if mine.err == nil {
		t.passed = append(t.passed, key)
		t.passed = t.passed[max(0, len(t.passed)-remembered):]
	}
	close(mine.done)
	return mine.err
}

// preflight tries the filters of a fleet that did not pass before as they are.
func (c *Control) preflight(ctx context.Context, f *fleet.Fleet, modules map[string]*module.Module) error {
	var wrong []error
	for _, filter := range f.Filters {
		p := preflight.Plugin{Name: filter.Name, Config: filter.Plugin, Module: modules[filter.Module], Checks: filter.Checks}
		key, err := p.Key()
		if err != nil {
			return err
		}
		err = c.trials.once(ctx, key, func(ctx context.Context) error { return c.try(ctx, p) })
		if refused := (*preflight.Error)(nil); errors.As(err, &refused) {
			wrong = append(wrong, refused.At(f, filter))
		} else if err != nil {
			return err
		}
	}
	return errors.Join(wrong...)
}

// try asks the sandbox, or, without one, only whether a proxy can load the module.
func (c *Control) try(ctx context.Context, p preflight.Plugin) error {
	if c.Preflight != nil {
		return c.Preflight.Try(ctx, p)
	}
	if err := preflight.Inspect(ctx, p.Module); err != nil {
		return &preflight.Error{Filter: p.Name, Stage: preflight.StageModule, Reason: err.Error()}
	}
	return nil
}
