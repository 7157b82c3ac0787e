package control

import (
	"slices"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// takeMeta takes a revision that was built in the place of the same one as it was
// built before, if that came with something else: other checks, another way to roll
// it out. It names what is different. What proxies run is the same in both.
func (c *Control) takeMeta(s *fleetState, snap *snapshot.Snapshot) (changed []string) {
	if before := s.snapshots[snap.ID]; before != nil {
		if changed = snap.Changes(before); len(changed) == 0 {
			return nil
		}
		if s.storing[snap.ID] {
			s.rewrite[snap.ID] = true // when that is written
		} else {
			delete(s.storing, snap.ID)
		}
	} else if !s.storing[snap.ID] {
		delete(s.storing, snap.ID) // one that was served before, as it came then
	}
	s.snapshots[snap.ID] = snap
	c.countNamed()
	return changed
}

// countNamed has proxies tell the statistics that are evidence, of whichever revision.
func (c *Control) countNamed() {
	var names []string
	for _, s := range c.fleets {
		for _, snap := range s.snapshots {
			for _, limit := range snap.Meta.Rollout.Evidence {
				names = append(names, limit.Stat)
			}
		}
	}
	slices.Sort(names)
	c.delivery.Count(slices.Compact(names))
}

// probed takes a report on the checks.
func (c *Control) probed(s *fleetState, id string, e xds.Event) {
	snap := s.snapshots[e.Plan.Of]
	if snap == nil || e.Plan.Questions != snap.Questions() {
		return // on checks as they were before
	}
	c.step(s, rollout.Probed{
		Node: id, Of: snap.ID, Probe: rollout.Probe(e.Plan.Through), Passed: e.Passed, Failed: strings.Join(e.Failed, ", "),
		Checks: e.Keys, Unsure: e.Unsure,
		Wrong: c.answers(s, snap, id, e.Wrong), Before: c.answers(s, snap, id, e.Before),
	})
}

// answers are what checks of a revision were answered, and what of it can be the doing of the
// service, or of another filter.
func (c *Control) answers(s *fleetState, snap *snapshot.Snapshot, id string, said []xds.Answer) []rollout.CheckAnswer {
	var out []rollout.CheckAnswer
	for _, a := range said {
		r := rollout.CheckAnswer{Check: a.Name, Status: a.Status, Want: a.Check.Status, Passes: a.Check.Passes(), Again: a.Again}
		if a.Check.Expects(a.Status) {
			r.Want = a.Status // of several
		}
		if a.Key != "" {
			r.Same = a.Key + " by " + a.Way
			r.By, r.New = snap.RefusedBy(a.Way, a.Key, a.Status, c.predecessor(s, id))
		}
		if serving := s.snapshots[s.rollout.Serving.ID]; serving != nil {
			r.Old = slices.ContainsFunc(serving.Meta.Checks, func(c snapshot.Check) bool { return sameCheck(c.Check, a.Check) })
		}
		out = append(out, r)
	}
	return out
}

// predecessor is what a proxy ran before a candidate; nil for nothing that is known.
func (c *Control) predecessor(s *fleetState, id string) *snapshot.Snapshot {
	if n := c.nodes[id]; n != nil && n.base.ID != "" {
		return c.Revision(n.base)
	}
	return s.snapshots[s.rollout.Serving.ID]
}

// sameCheck compares two checks but for the line of the file they are in.
func sameCheck(a, b fleet.Check) bool {
	return a.Method == b.Method && a.Path == b.Path && a.Host == b.Host && a.Body == b.Body && a.Upstream == b.Upstream &&
		slices.Equal(a.Statuses(), b.Statuses()) && slices.Equal(a.Headers, b.Headers)
}
