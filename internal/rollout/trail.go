package rollout

import (
	"fmt"
	"maps"
	"slices"
)

// A stage goes on without a proxy that trouble of its own keeps from taking the candidate,
// and so does the rollout to its end. One that comes from another fleet is not handed over by
// that: it has confirmed nothing, and runs its base. It is tried again all the same, until it
// has taken what the fleet serves now: by a move that goes on from where the rollout was for
// it, and that is its alone until other proxies come.

// stragglers are the connected members from other fleets that are in trouble, with it.
type stragglers map[string]trouble

func (s *step) late(r *Rollout) stragglers {
	out := stragglers{}
	for node := range r.Bases {
		if p := s.proxies[node]; p != nil && p.phase == InTrouble && !r.Took[node] {
			out[node] = *p.trouble
		}
	}
	return out
}

// trail goes on with those that a rollout has left.
func (s *step) trail(left *Rollout, late stragglers) {
	if len(late) == 0 {
		return
	}
	r := newRollout(s.Serving, left.Plan, s.now).by(s.salt)
	r.Move, r.stored, r.Bases, r.Late = true, true, map[string]string{}, map[string]bool{}
	s.Rollout = r
	nodes := slices.Sorted(maps.Keys(late))
	for _, node := range nodes {
		p, trouble := s.proxies[node], late[node]
		p.trouble, p.phase, p.since = &trouble, InTrouble, s.now
		s.troubled = marked(s.troubled, node, true)
		r.Members[node], r.Bases[node], r.Late[node] = 0, p.base, true
		r.Warmed = marked(r.Warmed, node, left.Warmed[node])
		r.Flipped = marked(r.Flipped, node, left.Flipped[node])
	}
	s.sayLeftBehind(left, late)
	s.record(Entry{Kind: MoveStarted, Revision: r.Candidate, Reason: fmt.Sprintf(
		"%s from elsewhere, tried again for as long as trouble of its own keeps it from that: %s", proxies(len(nodes)), few(nodes))})
	s.startStage(0)
}

// sayLeftBehind tells once of each, where its fleet's history can say it: all of a move are in
// there as begun, and these as nothing else.
func (s *step) sayLeftBehind(left *Rollout, late stragglers) {
	by := map[string][]string{}
	for node, t := range late {
		if !left.Late[node] {
			by[t.reason] = append(by[t.reason], node)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[reason])
		s.do(LeftBehind{Nodes: by[reason], Reason: reason})
	}
}

// lateInTrouble are how many of these there are still.
func (f *Fleet) lateInTrouble() int {
	n := 0
	for node := range f.Rollout.Late {
		if p := f.proxies[node]; p != nil && p.trouble != nil && p.trouble.candidate {
			n++
		}
	}
	return n
}

// Trails is whether all that goes on is a move of proxies that are in trouble of their own:
// who waits for the fleet does not wait for them.
func (f *Fleet) Trails() bool {
	if f.Rollout == nil || !f.Rollout.Move {
		return false
	}
	some := false
	for _, p := range f.proxies {
		if p.base != "" && p.trouble == nil {
			return false
		}
		some = some || p.base != ""
	}
	return some
}
