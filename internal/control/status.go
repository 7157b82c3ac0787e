package control

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// Status is a copy of the state, as the admin API gives it out.
type Status struct {
	Fleets   []FleetStatus     `json:"fleets"`
	Proxies  []ProxyStatus     `json:"proxies"`
	Problems map[string]string `json:"problems,omitempty"` // by file, of files that no fleet was ever read from
	// Unsettled says that what is on disk is being read: there may be another fleet.
	Unsettled bool `json:"unsettled"`
	// Next is Pick.After of those proxies that are left out; "": none is.
	Next string `json:"next,omitempty"`
}

// FleetStatus is one fleet.
type FleetStatus struct {
	Fleet     string              `json:"fleet"`
	Serving   rollout.Revision    `json:"serving"`   // the last good revision
	Candidate rollout.Revision    `json:"candidate"` // what is on its way
	Previous  rollout.Revision    `json:"previous"`  // what was served before; for undo
	Kept      []rollout.Revision  `json:"kept"`      // what can be gone back to, the newest first
	Rollout   *RolloutStatus      `json:"rollout,omitempty"`
	Modules   []snapshot.Module   `json:"modules"` // of the candidate, or of what is served
	Rejected  []rollout.Rejection `json:"rejected,omitempty"`
	Problem   string              `json:"problem,omitempty"` // why what is on disk can't be served
	Proxies   int                 `json:"proxies"`           // connected ones that it decides about
	// File is where it is read from, or was; Retired, that it takes no more proxies.
	File    string      `json:"file,omitempty"`
	Retired *Retirement `json:"retired,omitempty"`
	// Notices are what people should know of it and its proxies.
	Notices []string `json:"notices,omitempty"`
	// Pending says that a change on disk is settling, or in preflight: what comes of
	// it is not known yet. OnDisk is the ID of what was built of the disk last.
	Pending bool   `json:"pending"`
	OnDisk  string `json:"on_disk"`
	// Degraded is evidence against what is served, nil for none. It takes that back,
	// where it may, until WatchedUntil; zero: it does not.
	Degraded     *rollout.Degraded `json:"degraded,omitempty"`
	WatchedUntil time.Time         `json:"watched_until,omitzero"`
	// Unsaved says why the state directory does not have the fleet's state, and since
	// when: a restart would go back to an older one.
	Unsaved      string    `json:"unsaved,omitempty"`
	UnsavedSince time.Time `json:"unsaved_since,omitzero"`
	// Unproven is what of the revision can't be proven, and why.
	Unproven []string `json:"unproven,omitempty"`
	// WaitsFor is what a change on its way waits for; nil where none is on its way.
	WaitsFor *rollout.HoldUp `json:"waits_for,omitempty"`
	// Disk is what is on disk, and what has come of it.
	Disk DiskStatus `json:"disk"`
	// Asked is what came of asking changed checks of what is served, if it was done.
	Asked *rollout.Entry `json:"asked,omitempty"`
}

// RolloutStatus is a rollout in progress.
type RolloutStatus struct {
	Stage    string                `json:"stage"`
	Index    int                   `json:"index"` // of the stage, from 1
	Stages   int                   `json:"stages"`
	Started  time.Time             `json:"started"`
	StageAt  time.Time             `json:"stage_at"` // when the stage began
	Paused   bool                  `json:"paused"`
	Awaiting bool                  `json:"awaiting_approval"`
	Members  int                   `json:"members"` // proxies of this stage and those before
	Phases   map[rollout.Phase]int `json:"phases"`  // how many connected members are in each
}

// ProxyStatus is one connected proxy.
type ProxyStatus struct {
	Node     string           `json:"node"`
	Cluster  string           `json:"cluster,omitempty"`
	Fleet    string           `json:"fleet"`              // whose revision it runs; "" when no fleet matches it
	Arriving string           `json:"arriving,omitempty"` // the fleet that it is on its way to
	Envoy    string           `json:"envoy"`              // version
	Variant  string           `json:"variant"`
	Streams  int              `json:"streams"`
	State    State            `json:"state"`
	Since    time.Time        `json:"since"` // of the state
	Served   rollout.Revision `json:"served"`
	Wanted   rollout.Revision `json:"wanted"`
	Shadow   rollout.Revision `json:"shadow"`          // in its shadow listeners
	Phase    rollout.Phase    `json:"phase,omitempty"` // in a rollout
	// Trouble is what keeps it from what it is to have, and is no fault of that; it is
	// tried again at NextTry, the zero time while its answer is awaited.
	Trouble   string            `json:"trouble,omitempty"`
	NextTry   time.Time         `json:"next_try,omitzero"`
	Clock     string            `json:"clock,omitempty"`   // what is wrong with its clock
	Missing   []string          `json:"missing,omitempty"` // evidence that it can't give
	Modules   []snapshot.Module `json:"modules,omitempty"` // of what it serves
	Connected time.Time         `json:"connected"`
	Counted   time.Time         `json:"counted,omitzero"` // when its counters last came in
	LastACK   *xds.Verdict      `json:"last_ack,omitempty"`
	LastNACK  *xds.Verdict      `json:"last_nack,omitempty"`
}

// A State sums a proxy up.
type State string

// The states of a proxy.
const (
	StateServing State = "serving"    // it accepted all that it is to have
	StatePushing State = "pushing"    // it is yet to accept it
	StateRefuses State = "refuses"    // it refused it
	StateClosed  State = "closed"     // the listeners that it had opened for a rejected first revision are taken from it
	StateTrouble State = "in trouble" // it can't take it, for trouble of its own: it is tried again
	StateWaiting State = "waiting"    // there is nothing to give it
	StateKept    State = "kept"       // it keeps what it runs: no fleet's match claims it any more
)

// status copies the state for someone who asked, with the first proxies.
func (c *Control) status(proxies int) Status {
	page := c.page(Pick{Limit: proxies})
	out := Status{
		Fleets: []FleetStatus{}, Proxies: page.Proxies, Next: page.Next,
		Problems: maps.Clone(c.problems), Unsettled: c.Source.Unsettled(),
	}
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		delete(out.Problems, name)
		out.Fleets = append(out.Fleets, c.fleetStatus(c.fleets[name]))
	}
	return out
}

func (c *Control) fleetStatus(s *fleetState) FleetStatus {
	out := FleetStatus{
		Fleet: s.name, Serving: s.rollout.Serving, Candidate: s.candidate(), Previous: s.rollout.Previous, Kept: slices.Clone(s.rollout.Kept()),
		Rollout:  s.rolloutStatus(c),
		Rejected: slices.Clone(s.rollout.Rejected), Problem: c.problems[s.name], Proxies: c.count(s.name),
		Pending: c.pending(s), OnDisk: s.onDisk, WaitsFor: c.waitsFor(s),
		File: s.file, Retired: s.retirement, Notices: c.notices(s),
		Unsaved: s.disk.reason, UnsavedSince: s.disk.since, Disk: c.diskStatus(s), Asked: s.rollout.AskedLast(),
	}
	if w := s.rollout.Watch; w != nil {
		out.WatchedUntil = w.Until
		if w.Degraded != nil {
			degraded := *w.Degraded
			out.Degraded = &degraded
		}
	}
	if snap := s.snapshots[cmp.Or(out.Candidate.ID, out.Serving.ID)]; snap != nil {
		out.Modules, out.Unproven = snap.Modules, unproven(snap)
	}
	return out
}

func (s *fleetState) rolloutStatus(c *Control) *RolloutStatus {
	r := s.rollout.Rollout
	if r == nil {
		return nil
	}
	out := &RolloutStatus{
		Stage: r.Plan.Stages[r.Stage].Name, Index: r.Stage + 1, Stages: len(r.Plan.Stages), Started: r.Started, StageAt: r.StageAt,
		Paused: r.Paused, Awaiting: s.rollout.Awaiting(), Members: len(r.Members), Phases: map[rollout.Phase]int{},
	}
	for node := range r.Members {
		if c.nodes[node] != nil {
			phase, _ := s.rollout.PhaseOf(node)
			out.Phases[phase]++
		}
	}
	return out
}

// unproven says what of a revision no check can show, and why.
func unproven(snap *snapshot.Snapshot) []string {
	var out []string
	shadowed := map[string]bool{}
	for _, e := range snap.Entries() {
		if e.Why != "" {
			out = append(out, fmt.Sprintf("listener %s: %s", e.Listener, e.Why))
		}
		for _, filter := range e.Filters {
			shadowed[filter] = shadowed[filter] || e.Shadow
		}
	}
	for _, m := range snap.Modules {
		if !shadowed[m.Filter] {
			out = append(out, fmt.Sprintf("filter %s: it has no shadow listener (shadow: false, or none of its listeners is HTTP)", m.Filter))
		}
		if !slices.ContainsFunc(snap.Meta.Checks, func(c snapshot.Check) bool { return c.Filter == m.Filter }) {
			out = append(out, fmt.Sprintf("filter %s: it has no checks: that proxies accept it, and their counters, must do", m.Filter))
		}
	}
	return out
}

func (c *Control) proxyStatus(n *nodeState, p xds.ProxyStatus) ProxyStatus {
	out := ProxyStatus{
		Node: p.Node.GetId(), Cluster: p.Node.GetCluster(), Fleet: n.home, Envoy: xds.Version(p.Node),
		Variant: p.Variant, Streams: p.Streams, State: StateWaiting, Since: n.since, Connected: p.Connected,
		LastACK: p.LastACK, LastNACK: p.LastNACK, Counted: p.MetricsAt, Clock: n.clockText(),
	}
	if n.fleet != n.home {
		out.Arriving = n.fleet
	}
	s := c.fleets[n.fleet]
	if s == nil {
		if n.base.ID != "" {
			out.State = StateKept
			out.Wanted = c.numbered(nil, n.base)
			out.Served = out.Wanted
		}
		return out
	}
	accepted := s.rollout.Accepted(out.Node)
	served, wanted := accepted.Live, n.target.Live
	out.Shadow = c.numbered(s, snapshot.ParseRef(accepted.Shadow))
	out.Phase, _ = s.rollout.PhaseOf(out.Node)
	var troubledSince time.Time
	out.Trouble, troubledSince, out.NextTry = s.rollout.TroubleOf(out.Node)
	if !p.Health {
		out.Missing = append(out.Missing, "health discovery")
	}
	if !p.Metrics {
		out.Missing = append(out.Missing, "metrics")
	}
	out.Served, out.Wanted = c.numbered(s, snapshot.ParseRef(served)), c.numbered(s, snapshot.ParseRef(wanted))
	if snap := c.Revision(snapshot.ParseRef(served).In(s.key)); snap != nil {
		out.Modules = snap.Modules
	}
	_, closed := snapshot.IsClosed(wanted)
	if closed {
		out.Served, out.Wanted = rollout.Revision{}, rollout.Revision{}
	}
	switch {
	case wanted == "" && n.target.Shadow == "":
	case closed && served == wanted:
		out.State = StateClosed
	case n.clockTold && out.Trouble != "": // whatever it has accepted
		out.State, out.Since = StateTrouble, troubledSince
	case served == wanted && wanted != "" && accepted.Shadow == n.target.Shadow:
		out.State = StateServing
	case out.Trouble != "":
		out.State, out.Since = StateTrouble, troubledSince
	case p.Halted:
		out.State = StateRefuses
	default:
		out.State = StatePushing
	}
	return out
}
