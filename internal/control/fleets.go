package control

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// fleetState is one fleet.
type fleetState struct {
	name     string
	key      string                 // of its state, and of its revisions where they are another's base; stays
	match    fleet.Match            // of what is served
	matches  map[string]fleet.Match // of each revision that is kept, by ID
	moving   *fleet.Match           // one that came without another content, and is not in force yet
	declined *Declined              // one of these that was refused, while it is on disk
	offering *fleet.Match           // of what is about to be offered
	guests   map[string]guest       // proxies of it that its match does not tell; see homes.go

	file       string      // the path of its file, or that it had last; "" where that is another fleet's now
	lostTo     string      // the path of the one that it had, where that is another fleet's now
	gone       time.Time   // since when it has none; zero while it has one, or is retired
	fileless   bool        // the rollout was told that it has none, or is retired
	renamed    time.Time   // last, zero for never
	retirement *Retirement // why it takes no more proxies, nil where it does
	forgotten  bool
	rollout    rollout.Fleet
	snapshots  map[string]*snapshot.Snapshot // by ID: what is served, what is tried, what was served before

	unreadable string      // ID of a revision that is to be served and can't be read
	onDisk     string      // ID of the revision that was built last
	warnings   []string    // what its filters fail that is no refusal
	timings    api.Timings // of the newest change

	// What is on disk: see disk.go.
	storing  map[string]bool // IDs of revisions in the state directory: true while one is being written
	rewrite  map[string]bool // those of them that are to be written again then
	removing map[string]bool // IDs of revisions that are being removed from it
	leftover []string        // IDs of revisions in it that are to be removed
	dirty    bool            // what survives a restart has changed
	writing  bool            // a state is being written
	disk     diskTrouble

	certificates map[string][]snapshot.Certificate // by revision; see clocks.go
	unanswered   []func()                          // who waits for what is not saved yet
	answering    []func()                          // who waits for the state that is being written
}

// fleet finds a fleet, or makes it.
func (c *Control) fleet(name string) *fleetState {
	s := c.fleets[name]
	if s == nil {
		s = &fleetState{
			name: name, key: c.newKey(name), matches: map[string]fleet.Match{}, guests: map[string]guest{}, snapshots: map[string]*snapshot.Snapshot{},
			storing: map[string]bool{}, rewrite: map[string]bool{},
		}
		c.equip(s)
		c.fleets[name] = s
	}
	return s
}

// equip gives the rollout of a fleet what is not of its state.
func (c *Control) equip(s *fleetState) {
	s.rollout.Keep = c.KeepRevisions
	s.rollout.SetSalt(c.salt.is)
	s.rollout.SetSharedVMs(func(of, other string) rollout.Sharing {
		a, b := s.snapshots[of], s.snapshots[other]
		if a == nil || b == nil {
			return rollout.SharingOf(0, 0)
		}
		return rollout.SharingOf(a.SharedVMs(b))
	})
}

// newKey is the key of a new fleet: its name, unless one that was renamed has that.
func (c *Control) newKey(name string) string {
	key := name
	for i := 2; c.keyed(key) != nil || c.erasing[key]; i++ {
		key = fmt.Sprintf("%s+%d", name, i) // no name has this letter, and names of revisions end at none
	}
	return key
}

// wanted are the revisions of a fleet that are kept: its own, and what proxies run that
// are on their way to another fleet or that no fleet claims.
func (c *Control) wanted(s *fleetState, id string) bool {
	if s.wanted(id) {
		return true
	}
	base := snapshot.Ref{Fleet: s.key, ID: id}
	for _, n := range c.nodes {
		if n.base == base {
			return true
		}
	}
	for _, g := range s.guests {
		if g.runs == base {
			return true
		}
	}
	for _, other := range c.fleets {
		if r := other.rollout.Rollout; r != nil && slices.Contains(slices.Collect(maps.Values(r.Bases)), base.String()) {
			return true
		}
	}
	return false
}

func (s *fleetState) wanted(id string) bool {
	return id == s.rollout.Serving.ID || id == s.rollout.Previous.ID || id == s.candidate().ID || id == s.rollout.Waiting() || s.rollout.Holds(id)
}

// candidate is the revision on its way, if one is.
func (s *fleetState) candidate() rollout.Revision {
	if r := s.rollout.Rollout; r != nil {
		return r.Candidate
	}
	return rollout.Revision{}
}

// offer takes what was built of what is on disk, and for which proxies it is. changed
// names what else comes with a revision that is there already, and is another now.
func (c *Control) offer(s *fleetState, snap *snapshot.Snapshot, match fleet.Match, changed []string, by string) {
	s.onDisk = snap.ID
	sorting := c.sorting
	c.sorting = true // the match comes with the revision: who is whose is looked at when both are offered
	r := s.rollout.Rollout
	again := rollout.Offered{ID: snap.ID, Plan: c.planFor(s, snap, false), Changed: changed, By: by}
	switch {
	case snap.ID == s.rollout.Serving.ID:
		if r != nil && !r.Move || len(changed) > 0 || s.match.String() == match.String() {
			c.step(s, again)
		}
		c.rematch(s, match)
	case r != nil && snap.ID == r.Candidate.ID:
		before, known := s.matches[snap.ID] // an older server did not keep it
		if !known || before.String() != match.String() {
			s.matches[snap.ID], c.unsorted = match, true
		}
		if known && before.String() != match.String() {
			c.note(s.name, api.EventMatchChanged, fmt.Sprintf("of the revision on its way, from %s to %s", before, match))
			if len(changed) == 0 {
				break
			}
		}
		again.Plan = c.planFor(s, snap, r.Staged)
		c.step(s, again)
	default:
		c.offerNew(s, snap, match, by)
	}
	c.sorting = sorting
	c.sort()
	c.drop(s)
}

// offerNew offers another content, and has the proxies come that it is for.
func (c *Control) offerNew(s *fleetState, snap *snapshot.Snapshot, match fleet.Match, by string) {
	s.moving, s.declined, s.matches[snap.ID] = nil, nil, match
	var arrivals []*nodeState
	if !slices.ContainsFunc(s.rollout.Rejected, func(r rollout.Rejection) bool { return r.ID == snap.ID }) {
		arrivals = c.arrivals(s, match)
	}
	sorting := c.sorting
	c.sorting = true                                            // who has come is looked at when it is offered
	for _, n := range arrivals[:min(len(arrivals), maxMoves)] { // the others are placed like any, in turns to come
		if c.heldBy(n, s.name) == "" {
			c.put(n, n.home, s.name, c.baseFor(n))
		}
	}
	c.moved += min(len(arrivals), maxMoves)
	for _, n := range c.excluded(s, match) {
		c.put(n, n.home, "", c.keeps(n))
	}
	c.step(s, rollout.Offered{ID: snap.ID, Plan: c.planFor(s, snap, len(arrivals) > 0), By: by, Staged: len(arrivals) > 0})
	c.sorting, c.unsorted = sorting, true
}

// rematch takes that what is served is to be for other proxies.
func (c *Control) rematch(s *fleetState, match fleet.Match) {
	c.unsorted = true
	if s.moving != nil && s.moving.String() == match.String() {
		return
	}
	if s.declined != nil && s.declined.Match.String() == match.String() {
		return // the same, read again: after a restart, say
	}
	s.dirty, s.moving, s.declined = true, nil, nil
	if s.match.String() != match.String() {
		s.moving = &match
		c.step(s, rollout.Unbarred{})
	}
	c.storeChanges(s)
}

// planFor is the plan of a revision. Proxies that come from elsewhere have other code.
func (c *Control) planFor(s *fleetState, snap *snapshot.Snapshot, arrivals bool) rollout.Plan {
	if arrivals {
		return planOf(snap, nil)
	}
	return planOf(snap, s.snapshots[s.rollout.Serving.ID])
}

// step takes an event to the rollout and carries out what that decides. It
// returns why a command was refused.
func (c *Control) step(s *fleetState, event rollout.Event) (refusal string) {
	before, serving := s.candidate(), s.rollout.Serving.ID
	move := s.rollout.Rollout != nil && s.rollout.Rollout.Move
	c.depth++
	effects := s.rollout.Step(event, time.Now())
	c.recall(s)
	for _, effect := range effects {
		switch e := effect.(type) {
		case rollout.Store:
			s.dirty = true
		case rollout.Retarget:
			c.retarget(s)
		case rollout.Assign:
			c.assign(s, e.Node)
		case rollout.Again:
			c.delivery.Retry(e.Node)
		case rollout.Tell:
			c.tell(s, e.Entry)
		case rollout.Answer:
			refusal = e.Refusal
		case rollout.Offer:
			c.again(s, e.By)
		case rollout.Adopted:
			c.movedIn(s, e.Nodes)
			if move && s.moving != nil {
				c.enforce(s, *s.moving, "the proxies that it brings have proven what is served")
			}
		case rollout.MoveAgain:
			c.unsorted = true
			if s.declined != nil && s.moving == nil {
				s.dirty, s.moving, s.declined = true, &s.declined.Match, nil
			}
		case rollout.LeftBehind:
			c.leftBehind(s, e.Nodes, e.Reason)
		case rollout.NotAdopted:
			c.notMoved(s, e.Nodes, e.Reason)
			c.unsorted = true
			if r := s.rollout.Rollout; move && s.moving != nil && (r == nil || !r.Move) {
				s.dirty, s.moving, s.declined = true, nil, &Declined{Match: *s.moving, Reason: named(e.Nodes) + " not moved: " + e.Reason}
			}
		}
	}
	if match, ok := s.matches[s.rollout.Serving.ID]; ok && s.rollout.Serving.ID != serving {
		if serving == "" {
			s.match = match
			c.guestsAnew()
		}
		c.enforce(s, match, "it comes with revision "+short(s.rollout.Serving))
	}
	if serving != s.rollout.Serving.ID {
		c.sayServing(s)
		c.drop(s)
	}
	c.takeUp(s)
	c.unsorted = c.unsorted || before != s.candidate() || serving != s.rollout.Serving.ID
	c.storeChanges(s) // once, and after the pushes: no proxy waits for the disk
	c.wake(s.rollout.Next(time.Now()))
	if c.depth--; c.depth == 0 {
		c.sort()
	}
	return refusal
}

// retarget gives each proxy that the fleet decides about what it is to have now.
func (c *Control) retarget(s *fleetState) {
	c.delivery.Anew(s.key)
	for id, n := range c.nodes {
		if n.fleet == s.name {
			c.assign(s, id)
		}
	}
}

// assign gives a proxy what the rollout wants it to have, and asks it the checks.
func (c *Control) assign(s *fleetState, node string) {
	n := c.nodes[node]
	if n == nil || n.fleet != s.name {
		return
	}
	c.give(s, n, s.rollout.Target(node))
}

// again forgets that proxies refused something, and builds what is on disk.
func (c *Control) again(s *fleetState, by string) {
	if by != "" {
		s.declined = nil
	}
	for id, n := range c.nodes {
		if n.fleet == s.name {
			c.delivery.Forgive(id)
		}
	}
	if f, ok := c.fileOf(s.name); ok {
		c.Source.Again(f.Path, by)
	}
}

// retired is whether the fleet's file is gone, and it takes no proxies any more.
func (s *fleetState) retired() bool { return s.retirement != nil }

// planOf says how a revision is to be rolled out, and what there is to prove it by.
func planOf(snap, serving *snapshot.Snapshot) rollout.Plan {
	r := snap.Meta.Rollout
	plan := rollout.Plan{
		Prove:  r.Prove,
		Limits: rollout.Limits{Errors: r.Limits.Errors, Answers: r.Limits.Answers, Latency: r.Limits.Latency, Length: r.Limits.Length, MinRequests: r.Limits.MinRequests, Disconnects: r.Limits.Disconnects, Troubled: r.Limits.Troubled},
	}
	for _, limit := range r.Evidence {
		plan.Evidence = append(plan.Evidence, rollout.StatLimit(limit))
	}
	for _, st := range r.Stages {
		plan.Stages = append(plan.Stages, rollout.Stage{
			Name: st.Name, Percent: st.Percent, Proxies: st.Proxies, Match: st.Match.Attributes(),
			Bake: st.Bake, Deadline: st.Deadline, Manual: st.Manual,
		})
	}
	plan.Checks, plan.FailOpen, plan.AsksOthers = snap.CheckKeys(), snap.FailOpen(), snap.AsksOthers()
	plan.Watch, plan.OnEvidence = r.Watch, r.OnEvidence
	for _, e := range snap.Entries() {
		for _, check := range snap.Meta.Checks {
			switch {
			case e.Why != "" || !e.Has(check.Filter):
			case e.Shadow:
				plan.ShadowChecks = plan.ShadowChecks || check.Unasked(fleet.InShadow) == ""
			default:
				plan.LiveChecks = plan.LiveChecks || check.Unasked(fleet.InLive) == ""
			}
		}
	}
	// Without checks and without code to compile a shadow shows nothing that the
	// real listener's own answer does not: a refusal leaves that as it was.
	plan.Shadow = snap.HasShadow() && (plan.ShadowChecks || !snap.SameCode(serving))
	return plan
}
