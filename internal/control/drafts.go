package control

import (
	"context"
	"maps"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// draft begins the preflight of a file that has changed, while it is not known yet
// whether it changes again. What comes of it nobody is told: the build that follows
// when the file has settled asks for the same, and waits for what is under way.
func (c *Control) draft(ctx context.Context, change watch.Change) {
	if end := c.drafts[change.Path]; end != nil {
		end() // of what was in the file before
	}
	ctx, c.drafts[change.Path] = context.WithCancel(ctx)
	if c.desired.modules[change.Path] == nil {
		if f, err := fleet.Parse(change.Path, change.Data); err == nil {
			c.draftFleet(ctx, f, nil)
		}
		return
	}
	m := map[string]*module.Module{change.Path: module.New(change.Data)}
	for _, f := range c.desired.users(change.Path) {
		c.draftFleet(ctx, f.fleet, m)
	}
}

// draftFleet tries the filters of a fleet with modules that are newer than what has settled.
func (c *Control) draftFleet(ctx context.Context, f *fleet.Fleet, newer map[string]*module.Module) {
	modules, _, ok, err := c.desired.ready(f)
	if !ok || err != nil {
		return // the build says so
	}
	maps.Copy(modules, newer)
	go c.preflight(ctx, f, modules) //nolint:errcheck // the build asks again
}
