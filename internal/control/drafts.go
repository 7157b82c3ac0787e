package control

import (
	"bytes"
	"context"
	"maps"
	"sync"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// A draft is what was made of a file that has changed, while it is not known yet
// whether it changes again. Nobody is told what comes of it: the build that follows
// when the file has settled asks for the same, and finds it or waits for it.
type draft struct {
	data   []byte
	fleet  *fleet.Fleet   // of a fleet file that can be parsed
	module *module.Module // of a module
	end    context.CancelFunc
}

// forgetDraft drops the draft of a file that is gone, or of no use any more.
func (c *Control) forgetDraft(path string) {
	if d := c.drafts[path]; d != nil {
		d.end()
		delete(c.drafts, path)
	}
}

// draft begins the preflight and the revisions of a file that may have settled.
func (c *Control) draft(ctx context.Context, change watch.Change) {
	if d := c.drafts[change.Path]; d != nil {
		d.end() // of what was in the file before
	}
	d := &draft{data: change.Data}
	ctx, d.end = context.WithCancel(ctx)
	c.drafts[change.Path] = d
	if c.desired.modules[change.Path] == nil {
		var err error
		if d.fleet, err = fleet.Parse(change.Path, change.Data); err == nil {
			c.draftFleet(ctx, d.fleet, nil)
		}
		return
	}
	d.module = module.New(change.Data)
	newer := map[string]*module.Module{change.Path: d.module}
	for _, f := range c.desired.users(change.Path) {
		c.draftFleet(ctx, f.fleet, newer)
	}
}

// draftFleet tries and makes a revision of modules that are newer than what has settled.
func (c *Control) draftFleet(ctx context.Context, f *fleet.Fleet, newer map[string]*module.Module) {
	modules, _, ok, err := c.desired.ready(f)
	if !ok || err != nil {
		return // the build says so
	}
	maps.Copy(modules, newer)
	m := c.making(f, modules)
	go func() {
		if c.preflight(ctx, f, modules) == nil {
			_, _ = m.revision() // the build asks again
		}
	}()
}

// settled hands out a file's draft, once, if it is of what the file holds now;
// else one of nothing.
func (c *Control) settled(change watch.Change) draft {
	d := c.drafts[change.Path]
	if d == nil {
		return draft{}
	}
	made := *d
	d.data, d.fleet, d.module = nil, nil, nil
	if !bytes.Equal(made.data, change.Data) {
		return draft{}
	}
	return made
}

// A making is a revision on its way: made once, by a draft or by the build that
// follows it, whoever comes first.
type making struct {
	fleet    *fleet.Fleet
	modules  map[string]*module.Module
	revision func() (*snapshot.Snapshot, error)
}

// making finds the making of a revision, or begins one. A fleet has one: the newest.
func (c *Control) making(f *fleet.Fleet, modules map[string]*module.Module) *making {
	m := c.makings[f.Name]
	if m == nil || m.fleet != f || !maps.Equal(m.modules, modules) {
		m = &making{f, modules, sync.OnceValues(func() (*snapshot.Snapshot, error) { return makeRevision(f, modules) })}
		c.makings[f.Name] = m
	}
	return m
}
