package rollout

import (
	"maps"
	"slices"
	"time"
)

// A revision that was rejected only for its surroundings is tried again by itself:
// after a second, and after twice as long each time it was in vain, up to a minute; by
// a proxy that joins without any configuration, which may be what has changed; and
// by a restart of the server, or whenever it is offered again.

// blameSurroundings says that it was what a rollout's revision was rejected for just now.
func (s *step) blameSurroundings(r *Rollout) {
	if r.Move {
		s.blameMove(r)
	} else if i := s.rejection(r.Candidate.ID); i >= 0 {
		s.Rejected[i].Surroundings = true
	}
}

// What such a revision meets may be there still, and users would meet it with it. So in a try after
// the first, of those that have something to lose, one proxy alone is flipped until it has confirmed,
// and a check that fails there for what may be the service's doing has it back at once: nobody waits
// for what may be over in a moment, since it is tried again.

// mayFlip are the members that are to flip now, of those that have proven the candidate.
func (s *step) mayFlip() []string {
	r := s.Rollout
	if len(r.proven) == 0 { // as it mostly is, at each step of each proxy
		return nil
	}
	nodes := slices.DeleteFunc(slices.Sorted(maps.Keys(r.proven)), func(node string) bool { return s.beforeFlip(node) != heard })
	if r.Tries == 0 {
		return nodes
	}
	free, careful := s.byLoss(nodes)
	some := false
	for node := range r.Flipped {
		if p := s.proxies[node]; p != nil && p.trouble == nil && !s.first(node) {
			if p.phase == Confirmed {
				return nodes
			}
			some = true
		}
	}
	if some {
		return free
	}
	return append(free, careful[:min(1, len(careful))]...)
}

// byLoss tells those of some members that have nothing to lose, whom a first revision is given to, from
// the others.
func (s *step) byLoss(nodes []string) (free, careful []string) {
	for _, node := range nodes {
		if s.first(node) {
			free = append(free, node)
		} else {
			careful = append(careful, node)
		}
	}
	return free, careful
}

// hasty is whether a check that fails on the first proxy of a try after the first counts at once.
func (s *step) hasty(e Probed) bool {
	r := s.Rollout
	if r.Tries == 0 || s.first(e.Node) || s.proxies[e.Node].phase != Confirming || !byService(e, true) {
		return false
	}
	for node, w := range r.witnesses {
		if s.couldWitness(node) && w.agrees(e.Wrong, s.now) {
			return false // it fails for all
		}
	}
	return true
}

// retryAt is when the revision on disk is to be tried again; zero for never.
func (f *Fleet) retryAt() time.Time {
	i := f.rejection(f.onDisk)
	if f.fileless != nil || f.onDisk == "" || f.Rollout != nil || f.asked || i < 0 || !f.Rejected[i].Surroundings {
		return time.Time{}
	}
	return f.Rejected[i].At.Add(backOff(f.Rejected[i].Tries))
}

// tryAgain has what is on disk built and offered again, from a moment on.
func (s *step) tryAgain(from time.Time) {
	if from.IsZero() || s.now.Before(from) {
		return
	}
	s.asked = true
	s.do(Offer{})
}

// freshChance is from when on a fresh proxy has the revision on disk tried again: not at
// once after it was rejected, since a proxy may be started over and over.
func (f *Fleet) freshChance() time.Time {
	at := f.retryAt()
	if at.IsZero() {
		return at
	}
	return f.Rejected[f.rejection(f.onDisk)].At.Add(retryFirst)
}

// sooner is the earlier of two moments, of which zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
