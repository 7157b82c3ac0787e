package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// built is what came of building a fleet.
type built struct {
	fleet    string
	attempt  int
	snapshot *snapshot.Snapshot
	err      error
	timings  Timings
	passed   map[string]bool // digests of modules that were inspected
	by       string          // who wants it, if it is not the disk alone
}

// build makes a revision of a fleet file, beside the loop. A newer build of the
// same fleet ends an older one: only the newest counts.
func (c *Control) build(ctx context.Context, file *fleetFile) {
	f := file.fleet // a later change replaces it while it is built
	c.giveUpBuild(f.Name)
	s := c.fleet(f.Name)
	modules, newest, ok, err := c.desired.ready(f)
	if !ok {
		return // it is built when the last module was read
	}
	if err != nil {
		c.problem(s.name, err)
		return
	}
	if file.saved.settled.After(newest.settled) {
		newest = file.saved
	}
	ctx, s.cancel = context.WithCancel(ctx)
	job := built{
		fleet: s.name, attempt: s.attempt, passed: map[string]bool{},
		timings: Timings{Noticed: newest.noticed, Settled: newest.settled}, by: file.by,
	}
	file.by = ""
	for digest := range s.passed {
		job.passed[digest] = true
	}
	go func() {
		job.snapshot, job.err = makeRevision(ctx, f, modules, job.passed)
		job.timings.Built = time.Now()
		select {
		case c.built <- job:
		case <-ctx.Done():
		}
	}()
}

// giveUpBuild ends the build of a fleet that is under way: it is of what was on disk.
func (c *Control) giveUpBuild(name string) {
	s := c.fleets[name]
	if s == nil {
		return
	}
	s.attempt++
	if s.cancel != nil {
		s.cancel()
	}
}

// makeRevision inspects the modules that were not yet, and builds the revision.
func makeRevision(ctx context.Context, f *fleet.Fleet, modules map[string]*module.Module, passed map[string]bool) (*snapshot.Snapshot, error) {
	for _, filter := range f.Filters {
		m := modules[filter.Module]
		if passed[m.Digest] {
			continue
		}
		if err := preflight.Inspect(ctx, m); err != nil {
			return nil, at(f, filter, "module %s: %v", filter.Module, err)
		}
		passed[m.Digest] = true
	}
	s, err := snapshot.Build(f, modules)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.File, err)
	}
	return s, nil
}

// finished takes a build's result, unless a newer one is under way.
func (c *Control) finished(ctx context.Context, b built) {
	s := c.fleet(b.fleet)
	if b.attempt != s.attempt {
		return
	}
	s.passed = b.passed
	if b.err != nil {
		if !errors.Is(b.err, context.Canceled) {
			c.problem(s.name, b.err)
		}
		return
	}
	c.healed(s.name)
	if s.snapshots[b.snapshot.ID] == nil {
		s.snapshots[b.snapshot.ID] = b.snapshot
	}
	s.timings = b.timings
	c.offer(s, b.snapshot, b.by)
	c.saveRevision(ctx, s, b.snapshot)
}
