package control

import (
	"context"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// fleetState is one fleet.
type fleetState struct {
	name      string
	match     fleet.Match
	rollout   rollout.Fleet
	snapshots map[string]*snapshot.Snapshot // by ID: what is served and what is tried

	attempt int                // counts builds
	cancel  context.CancelFunc // ends the build under way
	passed  map[string]bool    // digests of modules that preflight passed
	saving  map[string]bool    // IDs of revisions in the state directory: true while one is being written
	timings Timings            // of the newest change
}

// fleet finds a fleet, or makes it.
func (c *Control) fleet(name string) *fleetState {
	s := c.fleets[name]
	if s == nil {
		s = &fleetState{name: name, snapshots: map[string]*snapshot.Snapshot{}, passed: map[string]bool{}, saving: map[string]bool{}}
		c.fleets[name] = s
	}
	return s
}

func (c *Control) offer(s *fleetState, id string) {
	c.step(s, rollout.Offered{ID: id})
	for id := range s.snapshots { // keep what is served and what is tried
		if id != s.rollout.Serving.ID && id != s.rollout.Candidate.ID {
			delete(s.snapshots, id)
		}
	}
}

// step takes an event to the rollout and carries out what that decides.
func (c *Control) step(s *fleetState, event rollout.Event) {
	for _, effect := range s.rollout.Step(event, time.Now()) {
		switch e := effect.(type) {
		case rollout.Save:
			c.save(s)
		case rollout.Retarget:
			for id, n := range c.nodes {
				if n.fleet == s.name {
					n.since = time.Now()
					c.assign(s, id)
				}
			}
		case rollout.Assign:
			c.assign(s, e.Node)
		case rollout.Tell:
			c.tell(s, e)
		}
	}
}

func (c *Control) assign(s *fleetState, node string) {
	c.XDS.Assign(node, s.snapshots[s.rollout.Target(node)])
}
