package rollout

import (
	"fmt"
	"maps"
	"slices"
)

// A rollout ends: its candidate is served, rejected or given up.

// giveUp ends the rollout without evidence against what it was of.
func (s *step) giveUp(reason string) {
	r := s.Rollout
	s.record(Entry{Kind: Abandoned, Revision: r.Candidate, Stage: r.stage().Name, Reason: reason})
	s.keepOpened(r, r.Candidate.ID)
	s.end()
	s.do(Retarget{})
	s.do(Store{})
}

// end forgets the rollout and what its proxies were at.
func (s *step) end() {
	s.leftAs = nil
	r := s.Rollout
	candidate := r.Candidate
	s.Rollout = nil
	for node, p := range s.proxies {
		if r.Flipped[node] && candidate != s.Serving {
			p.traffic.unflip()
		}
		p.traffic.habit.treated = false
		p.reset()
		s.outlast(node, candidate)
	}
}

// reject gives the candidate up: everyone goes back, at once.
// What of the plan it is rejected by are facets of it.
func (s *step) reject(kind Kind, node, reason, by string, facets ...string) {
	r := s.Rollout
	if r.Move {
		s.refuseMove(node, reason, by)
		return
	}
	rejected := Rejection{Revision: r.Candidate, Node: node, Reason: reason, At: s.now, Kind: kind, By: facets, Tries: r.Tries}
	s.remember(rejected)
	s.returned, s.returning = r.Candidate, map[string]bool{}
	for name := range r.Members {
		if p := s.proxies[name]; p != nil && p.base == "" && p.at() != Idle && p.at() != Joining && s.Serving.ID != "" {
			s.returning[name] = true
		}
	}
	s.keep(slices.Clone(s.Kept())) // it may have been good once
	stage := r.stage().Name
	s.keepOpened(r, closedMark+r.Candidate.ID)
	s.end()
	s.do(Retarget{})
	s.record(Entry{Kind: kind, Revision: rejected.Revision, Stage: stage, Node: node, Reason: reason, By: by})
	s.turnAway(r, fmt.Sprintf("revision %d, which they were to have, was rejected: %s", rejected.Number, reason))
	s.do(Store{})
	if len(s.returning) == 0 {
		s.returning = nil
	}
}

// back notes that a proxy is where it was, or gone.
func (s *step) back(node string) {
	if !s.returning[node] {
		return
	}
	delete(s.returning, node)
	if len(s.returning) == 0 {
		s.record(Entry{Kind: RolledBack, Revision: s.returned, Reason: "every connected proxy is back on the last good revision"})
		s.returning = nil
		s.do(Store{})
	}
}

// promote makes the candidate the last good revision.
func (s *step) promote() {
	r := s.Rollout
	if r.Move {
		s.endMove()
		return
	}
	s.forgetWaiting()
	good := append(slices.Clone(s.Kept()), s.Serving)
	s.Serving, s.Unmoved, s.Opened, s.Closed = r.Candidate, nil, nil, ""
	s.keep(good)
	adopted, late := s.adopted(r), s.late(r)
	maps.DeleteFunc(s.refusing, func(node string, _ bool) bool { return s.proxies[node] == nil })
	s.watch(r.Plan)
	s.end()
	s.habits.all = habit{} // what it answers otherwise is the revision's
	if len(adopted) > 0 {
		s.welcome(adopted)
	}
	s.do(Retarget{})
	s.record(Entry{Kind: Serving, Revision: s.Serving})
	s.trail(r, late)
	s.do(Store{})
}
