package rollout

import (
	"maps"
	"slices"
)

// Copy is what survives a restart, apart from the fleet: it can be written while
// that goes on. What is never written to once it is made (a plan, an entry) is shared.
func (f *Fleet) Copy() Fleet {
	c := Fleet{Serving: f.Serving, Previous: f.Previous, Good: slices.Clone(f.Good), Keep: f.Keep, Last: f.Last, Rejected: slices.Clone(f.Rejected), History: slices.Clone(f.History), Unmoved: maps.Clone(f.Unmoved), Opened: maps.Clone(f.Opened), Closed: f.Closed, Meant: f.Meant}
	if v := f.Survey; v != nil {
		c.Survey = &Survey{Since: v.Since}
	}
	if f.Watch != nil {
		watch := *f.Watch
		watch.Excused = slices.Clone(watch.Excused)
		if d := watch.Degraded; d != nil {
			degraded := *d
			watch.Degraded = &degraded
		}
		c.Watch = &watch
	}
	if r := f.Rollout; r != nil {
		c.Rollout = &Rollout{
			Candidate: r.Candidate, Plan: r.Plan, Stage: r.Stage,
			Members: maps.Clone(r.Members), Warmed: maps.Clone(r.Warmed), Flipped: maps.Clone(r.Flipped),
			Released: r.Released, Approved: r.Approved, Paused: r.Paused, PausedAt: r.PausedAt, PausedBy: r.PausedBy,
			Started: r.Started, StageAt: r.StageAt, Lost: r.Lost, Tries: r.Tries, Before: r.copyBefore(), Excused: slices.Clone(r.Excused), Move: r.Move, Staged: r.Staged, Own: r.Own, Full: slices.Clone(r.Full), Bases: maps.Clone(r.Bases),
			Took: maps.Clone(r.Took), Late: maps.Clone(r.Late), Fallen: maps.Clone(r.Fallen), Forgotten: r.Forgotten, Salted: r.Salted,
		}
	}
	return c
}
