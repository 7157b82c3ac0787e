package console

import (
	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// The loop's types become those of the wire here, and nowhere else: each can change
// without the other, and the compiler or TestNothingIsForgotten finds the field that has no
// counterpart. Where a struct is converted as a whole, the compiler does.

// list maps what may be nil, and stays that: null on the wire.
func list[A, B any](in []A, f func(A) B) []B {
	if in == nil {
		return nil
	}
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// optional maps what may be nil.
func optional[A, B any](in *A, f func(A) B) *B {
	if in == nil {
		return nil
	}
	out := f(*in)
	return &out
}

func revisionOf(r rollout.Revision) api.Revision { return api.Revision(r) }

func moduleOf(m snapshot.Module) api.Module { return api.Module(m) }

func verdictOf(v xds.Verdict) api.Verdict { return api.Verdict(v) }

func stageOf(s rollout.Stage) api.Stage { return api.Stage(s) }

func timingsOf(t control.Timings) api.Timings { return api.Timings(t) }

func retirementOf(r control.Retirement) api.Retirement { return api.Retirement(r) }

func changeOf(c snapshot.Change) api.Change { return api.Change(c) }

func moveOf(m control.Move) api.Move { return api.Move(m) }

func statusOf(s control.Status) api.Status {
	return api.Status{
		Fleets: list(s.Fleets, fleetOf), Proxies: list(s.Proxies, proxyOf), Next: s.Next,
		Problems: s.Problems, Unsettled: s.Unsettled,
	}
}

func fleetOf(f control.FleetStatus) api.Fleet {
	return api.Fleet{
		Fleet: f.Fleet, File: f.File, Proxies: f.Proxies, Retired: optional(f.Retired, retirementOf),
		Serving: revisionOf(f.Serving), Candidate: revisionOf(f.Candidate), Previous: revisionOf(f.Previous),
		Kept: list(f.Kept, revisionOf), Rollout: optional(f.Rollout, rolloutOf), Modules: list(f.Modules, moduleOf),
		Rejected: list(f.Rejected, rejectionOf), Problem: f.Problem, Notices: f.Notices, Pending: f.Pending, OnDisk: f.OnDisk,
		Degraded: optional(f.Degraded, degradedOf), WatchedUntil: f.WatchedUntil, Unsaved: f.Unsaved, UnsavedSince: f.UnsavedSince,
		Unproven: f.Unproven, WaitsFor: optional(f.WaitsFor, waitOf), Disk: diskOf(f.Disk), Asked: optional(f.Asked, entryOf),
	}
}

func rolloutOf(r control.RolloutStatus) api.Rollout {
	out := api.Rollout{
		Stage: r.Stage, Index: r.Index, Stages: r.Stages, Started: r.Started, StageAt: r.StageAt,
		Paused: r.Paused, Awaiting: r.Awaiting, Members: r.Members, Phases: map[api.Phase]int{},
	}
	for phase, n := range r.Phases {
		out.Phases[api.Phase(phase)] = n
	}
	return out
}

func rejectionOf(r rollout.Rejection) api.Rejection {
	return api.Rejection{
		Revision: revisionOf(r.Revision), Node: r.Node, Reason: r.Reason, At: r.At, Kind: api.EventKind(r.Kind), By: r.By,
		Empty: optional(r.Empty, stageOf), Surroundings: r.Surroundings, Tries: r.Tries,
	}
}

func degradedOf(d rollout.Degraded) api.Degraded {
	return api.Degraded{Since: d.Since, Evidence: string(d.Evidence), Node: d.Node, Reason: d.Reason}
}

func waitOf(h rollout.HoldUp) api.Wait {
	return api.Wait{
		Kind: api.WaitKind(h.Kind), Stage: h.Stage, Nodes: h.Nodes, Count: h.Count,
		Since: h.Since, Until: h.Until, Then: h.Then, Do: h.Do, Text: h.Text,
	}
}

func diskOf(d control.DiskStatus) api.Disk {
	return api.Disk{
		File: d.File, Content: d.Content, Saved: d.Saved, State: api.DiskState(d.State), Revision: revisionOf(d.Revision), Why: d.Why,
	}
}

func proxyOf(p control.ProxyStatus) api.Proxy {
	return api.Proxy{
		Node: p.Node, Cluster: p.Cluster, Fleet: p.Fleet, Arriving: p.Arriving, Envoy: p.Envoy, Variant: p.Variant, Streams: p.Streams,
		State: api.ProxyState(p.State), Since: p.Since, Phase: api.Phase(p.Phase),
		Served: revisionOf(p.Served), Wanted: revisionOf(p.Wanted), Shadow: revisionOf(p.Shadow),
		Trouble: p.Trouble, NextTry: p.NextTry, Clock: p.Clock, Missing: p.Missing, Modules: list(p.Modules, moduleOf),
		Connected: p.Connected, Counted: p.Counted, LastACK: optional(p.LastACK, verdictOf), LastNACK: optional(p.LastNACK, verdictOf),
	}
}

func eventOf(r control.Record) api.Event {
	return api.Event{
		Time: r.Time, Kind: api.EventKind(r.Kind), Fleet: r.Fleet, Revision: r.Revision, Number: r.Number, Node: r.Node,
		Stage: r.Stage, By: r.By, Message: r.Message, Timings: optional(r.Timings, timingsOf), ID: r.ID,
	}
}

func entryOf(e rollout.Entry) api.Entry {
	return api.Entry{
		At: e.At, Kind: api.EventKind(e.Kind), Revision: revisionOf(e.Revision), Stage: e.Stage, Node: e.Node, By: e.By, Reason: e.Reason,
	}
}

func differenceOf(d control.Difference) api.Difference {
	return api.Difference{
		Serving: revisionOf(d.Serving), Candidate: revisionOf(d.Candidate), Changes: list(d.Changes, changeOf), Moves: list(d.Moves, moveOf),
	}
}

func commandOf(c api.Command) control.Command {
	return control.Command{
		Fleet: c.Fleet, Verb: rollout.Verb(c.Verb), By: c.By, Why: c.Why, ID: c.ID, SkipEmpty: c.SkipEmpty, To: c.To,
	}
}

func claimOf(c api.Claim) control.Claim {
	return control.Claim{Fleet: c.Fleet, File: c.File, Match: matchOf(c.Match)}
}

func matchOf(m api.Match) fleet.Match {
	return fleet.Match{ID: m.ID, Cluster: m.Cluster, Locality: fleet.Locality(m.Locality), Labels: m.Labels}
}
