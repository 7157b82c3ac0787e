package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// built is what came of building a fleet.
type built struct {
	fleet    string
	attempt  int
	snapshot *snapshot.Snapshot
	match    fleet.Match
	err      error
	timings  Timings
	by       string // who wants it, if it is not the disk alone
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
	s.busy, s.busySince = true, time.Now()
	job := built{
		fleet: s.name, attempt: s.attempt, match: f.Match,
		timings: Timings{Noticed: newest.noticed, Settled: newest.settled}, by: file.by,
	}
	file.by = ""
	m := c.making(f, modules)
	go func() {
		if job.err = c.preflight(ctx, f, modules); job.err == nil {
			job.snapshot, job.err = m.revision()
		}
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
	s.busy = false
	if s.cancel != nil {
		s.cancel()
	}
}

func makeRevision(f *fleet.Fleet, modules map[string]*module.Module) (*snapshot.Snapshot, error) {
	s, err := snapshot.Build(f, modules)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.File, err)
	}
	return s, nil
}

// finished takes a build's result, unless a newer one is under way.
func (c *Control) finished(b built) {
	s := c.fleets[b.fleet]
	if s == nil || b.attempt != s.attempt {
		return
	}
	s.busy = false
	c.unsorted = true // proxies may have waited for what comes of it
	defer c.sort()
	clear(c.makings) // what others were begun by now are made again if they are wanted
	if b.err != nil {
		if !errors.Is(b.err, context.Canceled) {
			if c.problems[s.name] != b.err.Error() {
				c.step(s, rollout.Unfit{Reason: oneLine(b.err)})
			}
			c.problem(s.name, b.err)
		}
		return
	}
	c.healed(s.name)
	changed := c.takeMeta(s, b.snapshot)
	s.timings = b.timings
	c.batch(func() {
		c.offer(s, b.snapshot, b.match, changed, b.by)
		c.saveRevision(s, b.snapshot)
	})
}
