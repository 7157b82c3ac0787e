package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// noteAbsence keeps the clocks of a stage that has nobody.
//
//   - lone: no proxy of the fleet is connected. There is nothing to prove anything
//     on, and no evidence against anything: the rollout waits for as long as it takes.
//   - vacant: its proxies are away. Others are taken when they do not come back.
//   - empty: none of those that are connected can be of it. That is the plan's fault
//     or the fleet's, and time alone does not mend it: the stage's deadline counts.
//
// A member that only takes the last good revision does not stop the last clock: it
// may be left out of the stage when it does not, and taken again after that.
func (s *step) noteAbsence() {
	r := s.Rollout
	if r == nil || s.stopped() {
		return
	}
	connected := len(s.proxies) > 0
	s.clock(&r.loneAt, !connected)
	s.clock(&r.vacantAt, connected && r.members == 0 && s.troubledMembers() == 0)
	switch empty := s.isEmpty(); {
	case empty && r.emptyAt.IsZero():
		r.emptyAt = s.now
	case !connected || !empty && r.members > r.joining:
		r.emptyAt = time.Time{}
	}
}

// clock says since when something is so.
func (s *step) clock(since *time.Time, is bool) {
	switch {
	case !is:
		*since = time.Time{}
	case since.IsZero():
		*since = s.now
	}
}

// isEmpty is whether proxies are connected and none of them can be of the stage.
// Members that earlier stages brought in are none of it if it does not match them: a
// stage of one region is not passed because another has the revision.
func (f *Fleet) isEmpty() bool {
	r := f.Rollout
	if len(f.proxies) == 0 || len(r.Members) == 0 || r.pool == nil || r.pool.seats > 0 {
		return len(f.proxies) > 0 && len(r.Members) == 0
	}
	for _, at := range r.Members {
		if at == r.Stage {
			return false // it has trouble of its own, say
		}
	}
	return true
}

// vacant takes other proxies where all of a stage are gone for long, and gives the
// revision up where there have been none until its deadline.
func (s *step) vacant() {
	r := s.Rollout
	if r.Move && !s.anyArrival() {
		s.noOneToMove()
		return
	}
	deadline := r.stage().Deadline
	if deadline > 0 && !r.emptyAt.IsZero() && s.now.Sub(r.emptyAt) > deadline {
		stage := r.stage()
		s.reject(Rejected, "", fmt.Sprintf("%s, for %s; it is tried again when one that can be of it is connected, or by `xds rollout retry`, after which `%s` passes the stage",
			s.empty(), deadline, doSkipEmpty), "",
			stage.deadlineFacet(), stage.matchFacet())
		if i := s.rejection(r.Candidate.ID); i >= 0 { // not that of a move
			s.Rejected[i].Empty = &stage
		}
		return
	}
	if s.holdsFor() {
		return
	}
	if s.isEmpty() && r.pool != nil {
		s.fillUp()
		s.sayEmpty()
		return
	}
	if r.members > 0 || len(s.proxies) == 0 || s.troubledMembers() > 0 {
		return
	}
	if len(r.Members) > 0 && s.now.Sub(r.vacantAt) < vacancy {
		return
	}
	s.replace()
	if s.Rollout != nil {
		s.recruit()
		s.sayEmpty()
	}
}

// fillUp takes proxies into the stage that can be of it now.
func (s *step) fillUp() {
	for _, enlisted := range s.Rollout.pool.fill(s) {
		s.place(enlisted)
	}
}

// sayEmpty says at once, and once in a stage, that nobody can be of it. While the rollout stands
// still nobody is taken into it, which says nothing of who can be.
func (s *step) sayEmpty() {
	if s.isEmpty() && !s.stopped() {
		s.once(Empty, "", s.empty())
	}
}

// replace lets the stage's proxies go: those that are gone were lost, those that
// are there could not be asked.
func (s *step) replace() {
	r := s.Rollout
	r.vacantAt = s.now
	gone := ""
	for _, node := range slices.Sorted(maps.Keys(r.Members)) {
		p := s.proxies[node]
		if p != nil && p.phase != Idle {
			continue
		}
		if p == nil && gone == "" {
			gone = node
		}
		r.drop(node)
	}
	if gone != "" {
		s.record(Entry{Kind: Replaced, Revision: r.Candidate, Stage: r.stage().Name, Node: gone, Reason: "none of the stage's proxies is connected"})
		s.lost(gone, "it did not come back")
	}
}

// skipEmpty passes a stage that no connected proxy can be of, if the person says
// so: nobody is given the revision by it, and the later stages prove it.
func (s *step) skipEmpty(c Command) string {
	r := s.Rollout
	switch {
	case r.Stage == len(r.Plan.Stages)-1:
		return fmt.Sprintf("stage %q is the whole fleet, and is not passed: %s", r.stage().Name, s.empty())
	case !c.SkipEmpty:
		return fmt.Sprintf("%s: `%s` goes on without it", s.empty(), doSkipEmpty)
	}
	s.record(Entry{Kind: Skipped, Revision: r.Candidate, Stage: r.stage().Name, By: c.By, Reason: because(s.empty()+"; passed", c)})
	s.startStage(r.Stage + 1)
	return ""
}
