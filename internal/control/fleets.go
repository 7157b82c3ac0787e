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
	snapshots map[string]*snapshot.Snapshot // by ID: what is served, what is tried, what was served before
	composed  map[string]*snapshot.Snapshot // of two of them, by name: shared by the proxies that are given both

	attempt int                // counts builds
	cancel  context.CancelFunc // ends the build under way
	busy    bool               // one is
	onDisk  string             // ID of the revision that was built last
	timings Timings            // of the newest change

	// What is on disk: see disk.go.
	saving     map[string]bool // IDs of revisions in the state directory: true while one is being written
	removing   map[string]bool // IDs of revisions that are being removed from it
	leftover   []string        // IDs of revisions in it that are to be removed
	dirty      bool            // what survives a restart has changed
	writing    bool            // a state is being written
	disk       diskTrouble
	unanswered []chan<- error // of commands that are carried out and not saved
	answering  []chan<- error // of those in the state that is being written
}

// fleet finds a fleet, or makes it.
func (c *Control) fleet(name string) *fleetState {
	s := c.fleets[name]
	if s == nil {
		s = &fleetState{
			name: name, snapshots: map[string]*snapshot.Snapshot{}, composed: map[string]*snapshot.Snapshot{},
			saving: map[string]bool{},
		}
		c.fleets[name] = s
	}
	return s
}

// wanted are the revisions that are kept.
func (s *fleetState) wanted(id string) bool {
	return id == s.rollout.Serving.ID || id == s.rollout.Previous.ID || id == s.candidate().ID || id == s.rollout.Waiting()
}

// candidate is the revision on its way, if one is.
func (s *fleetState) candidate() rollout.Revision {
	if r := s.rollout.Rollout; r != nil {
		return r.Candidate
	}
	return rollout.Revision{}
}

func (c *Control) offer(s *fleetState, snap *snapshot.Snapshot, by string) {
	s.onDisk = snap.ID
	c.step(s, rollout.Offered{ID: snap.ID, Plan: planOf(snap, s.snapshots[s.rollout.Serving.ID]), By: by})
	for id := range s.snapshots {
		if !s.wanted(id) {
			delete(s.snapshots, id)
		}
	}
}

// step takes an event to the rollout and carries out what that decides. It
// returns why a command was refused.
func (c *Control) step(s *fleetState, event rollout.Event) (refusal string) {
	for _, effect := range s.rollout.Step(event, time.Now()) {
		switch e := effect.(type) {
		case rollout.Save:
			s.dirty = true
		case rollout.Retarget:
			clear(s.composed)
			for id, n := range c.nodes {
				if n.fleet == s.name {
					c.assign(s, id)
				}
			}
		case rollout.Assign:
			c.assign(s, e.Node)
		case rollout.Tell:
			c.tell(s, e.Entry)
		case rollout.Answer:
			refusal = e.Refusal
		case rollout.Offer:
			c.again(s, e.By)
		}
	}
	c.saveChanges(s) // once, and after the pushes: no proxy waits for the disk
	c.wake(s.rollout.Next(time.Now()))
	return refusal
}

// assign gives a proxy what the rollout wants it to have, and asks it the checks.
func (c *Control) assign(s *fleetState, node string) {
	n := c.nodes[node]
	if n == nil {
		return
	}
	a := s.rollout.Target(node)
	if a.Live != n.target.Live || a.Shadow != n.target.Shadow {
		n.since = time.Now()
		n.given = n.since
	}
	n.target = a
	c.XDS.Assign(node, c.compose(s, a))
	c.XDS.Probe(node, c.probes(s, n, a))
}

// compose is what a proxy is to be given, nil for nothing.
func (c *Control) compose(s *fleetState, a rollout.Assignment) *snapshot.Snapshot {
	live, shadow := s.snapshots[a.Live], s.snapshots[a.Shadow]
	name := snapshot.Name(live, shadow)
	if s.composed[name] == nil {
		s.composed[name] = snapshot.Compose(live, shadow, c.space)
	}
	return s.composed[name]
}

// again forgets that proxies refused something, and builds what is on disk.
func (c *Control) again(s *fleetState, by string) {
	for id, n := range c.nodes {
		if n.fleet == s.name {
			c.XDS.Forgive(id)
		}
	}
	for _, f := range c.desired.files {
		if f.fleet != nil && f.name == s.name {
			f.by = by
			c.retries = append(c.retries, f)
		}
	}
}

// planOf says how a revision is to be rolled out, and what there is to prove it by.
func planOf(snap, serving *snapshot.Snapshot) rollout.Plan {
	r := snap.Meta.Rollout
	plan := rollout.Plan{
		Prove:  r.Prove,
		Limits: rollout.Limits{Errors: r.Limits.Errors, MinRequests: r.Limits.MinRequests, Disconnects: r.Limits.Disconnects},
	}
	for _, st := range r.Stages {
		plan.Stages = append(plan.Stages, rollout.Stage{
			Name: st.Name, Percent: st.Percent, Proxies: st.Proxies, Match: st.Match.Attributes(),
			Bake: st.Bake, Deadline: st.Deadline, Manual: st.Manual,
		})
	}
	for _, e := range snap.Entries() {
		for _, check := range snap.Meta.Checks {
			switch {
			case e.Why != "" || !e.Has(check.Filter):
			case e.Shadow:
				plan.ShadowChecks = true
			default:
				plan.LiveChecks = true
			}
		}
	}
	// Without checks and without code to compile a shadow shows nothing that the
	// real listener's own answer does not: a refusal leaves that as it was.
	plan.Shadow = snap.HasShadow() && (plan.ShadowChecks || !snap.SameCode(serving))
	return plan
}
