package control

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// status copies the state for someone who asked, with the first proxies.
func (c *Control) status(proxies int) api.Status {
	page := c.page(api.ProxyQuery{Limit: proxies})
	out := api.Status{
		Fleets: []api.Fleet{}, Proxies: page.Proxies, Next: page.Next,
		Problems: maps.Clone(c.problems), Unsettled: c.Source.Unsettled(),
	}
	if c.Port != nil {
		out.Port = c.Port()
	}
	if c.Admin != nil {
		out.Admin = c.Admin()
	}
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		delete(out.Problems, name)
		out.Fleets = append(out.Fleets, c.fleetStatus(c.fleets[name]))
	}
	return out
}

func (c *Control) fleetStatus(s *fleetState) api.Fleet {
	out := api.Fleet{
		Fleet: s.name, Serving: s.rollout.Serving, Candidate: s.candidate(), Previous: s.rollout.Previous, Kept: slices.Clone(s.rollout.Kept()),
		Rollout:  s.rolloutStatus(c),
		Rejected: slices.Clone(s.rollout.Rejected), Problem: c.problems[s.name], Proxies: c.count(s.name),
		Pending: c.pending(s), OnDisk: s.onDisk, WaitsFor: c.waitsFor(s),
		File: s.file, Retired: (*api.Retirement)(s.retirement), Notices: c.notices(s),
		Unsaved: s.disk.reason, UnsavedSince: s.disk.since, Disk: c.diskStatus(s), Asked: s.rollout.AskedLast(),
		Troubled: c.troubled(s),
	}
	if w := s.rollout.Watch; w != nil {
		out.WatchedUntil = w.Until
		if w.Degraded != nil {
			degraded := *w.Degraded
			out.Degraded = &degraded
		}
	}
	if snap := s.snapshots[cmp.Or(out.Candidate.ID, out.Serving.ID)]; snap != nil {
		out.Modules, out.Unproven = modulesOf(snap), append(snap.Unproven(), s.rollout.NotShown()...)
	}
	return out
}

func (s *fleetState) rolloutStatus(c *Control) *api.Rollout {
	r := s.rollout.Rollout
	if r == nil {
		return nil
	}
	out := &api.Rollout{
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

// modulesOf are the modules of a revision.
func modulesOf(snap *snapshot.Snapshot) []api.Module {
	var out []api.Module
	for _, m := range snap.Modules {
		out = append(out, api.Module(m))
	}
	return out
}

func (c *Control) proxyStatus(n *nodeState, p xds.ProxyStatus) api.Proxy {
	out := api.Proxy{
		Node: p.Node.GetId(), Cluster: p.Node.GetCluster(), Fleet: n.home, Envoy: xds.Version(p.Node),
		Variant: p.Variant, Streams: p.Streams, State: api.ProxyWaiting, Since: n.since, Connected: p.Connected,
		LastACK: (*api.Verdict)(p.LastACK), LastNACK: (*api.Verdict)(p.LastNACK), Counted: p.MetricsAt, Clock: n.clockText(),
	}
	out.Twins = c.twinsText(n)
	if n.fleet != n.home {
		out.Arriving = n.fleet
	}
	s := c.fleets[n.fleet]
	if s == nil {
		c.strayStatus(n, &out)
		return out
	}
	if !p.Health {
		out.Missing = append(out.Missing, "health discovery")
	}
	if !p.Metrics {
		out.Missing = append(out.Missing, "metrics")
	}
	c.rolloutStatus(s, n, &out)
	c.sumUp(n, &out, p.Halted, s.rollout.TroubleOf(out.Node).Since)
	return out
}

// rolloutStatus is what the fleet decides about a proxy, and what that has of it.
func (c *Control) rolloutStatus(s *fleetState, n *nodeState, out *api.Proxy) {
	accepted := s.rollout.Accepted(out.Node)
	served, wanted := accepted.Live, n.target.Live
	out.Shadow = c.numbered(s, snapshot.ParseRef(accepted.Shadow))
	out.Phase, _ = s.rollout.PhaseOf(out.Node)
	trouble := s.rollout.TroubleOf(out.Node)
	out.Trouble, out.NextTry, out.TroubleEnds = trouble.Reason, trouble.Next, trouble.Ends
	out.Served, out.Wanted = c.numbered(s, snapshot.ParseRef(served)), c.numbered(s, snapshot.ParseRef(wanted))
	if snap := c.Revision(snapshot.ParseRef(served).In(s.key)); snap != nil {
		out.Modules = modulesOf(snap)
	}
	_, closed := snapshot.IsClosed(wanted)
	if closed {
		out.Served, out.Wanted = rollout.Revision{}, rollout.Revision{}
	}
	if part := s.rollout.PartOf(out.Node); part != "" {
		out.Part = c.numbered(s, snapshot.ParseRef(part))
	}
	if s.rollout.PutBack(out.Node) {
		out.Wanted = s.candidate()
	}
}

// strayStatus is of a proxy about which no fleet decides: it keeps what it runs, or has nothing.
func (c *Control) strayStatus(n *nodeState, out *api.Proxy) {
	out.Forbidden = c.forbidden(n)
	switch {
	case n.base.ID != "":
		out.State = api.ProxyKept
		out.Wanted = c.numbered(nil, n.base)
		out.Kept = c.keptText(n, out.Wanted)
		out.Served = out.Wanted
	case out.Forbidden == "":
		out.Waits = c.waitsText(n)
	}
}

// sumUp says in one word how a proxy is, and since when it is in trouble.
func (c *Control) sumUp(n *nodeState, out *api.Proxy, halted bool, troubledSince time.Time) {
	s := c.fleets[n.fleet]
	accepted, wanted := s.rollout.Accepted(out.Node), n.target.Live
	_, closed := snapshot.IsClosed(wanted)
	switch {
	case wanted == "" && n.target.Shadow == "":
		out.Waits = c.waitsText(n)
	case closed && accepted.Live == wanted && out.Trouble == "":
		out.State = api.ProxyClosed
	case (n.clockTold || s.rollout.PutBack(out.Node)) && out.Trouble != "": // whatever it has accepted
		out.State, out.Since = api.ProxyTrouble, troubledSince
	case accepted.Live == wanted && wanted != "" && accepted.Shadow == n.target.Shadow:
		out.State = api.ProxyServing
	case out.Trouble != "":
		out.State, out.Since = api.ProxyTrouble, troubledSince
	case halted:
		out.State = api.ProxyRefuses
	default:
		out.State = api.ProxyPushing
	}
}
