package rollout

import "time"

// A move that was refused only for what is around it, a service that fails or a port in use
// on too many hosts, is tried again by itself, as a revision is that was rejected for that:
// see again.go.

// blameMove says that it was what a move was refused for just now.
func (s *step) blameMove(r *Rollout) {
	for node, u := range s.Unmoved {
		if u.Revision == r.Candidate && u.At.Equal(s.now) {
			u.Surroundings, u.Tries = true, r.Tries
			s.Unmoved[node] = u
		}
	}
}

// triesOf is how often some proxies were to be moved in vain.
func (s *step) triesOf(nodes []string) int {
	tries := 0
	for _, node := range nodes {
		if u, is := s.Unmoved[node]; is && u.Again && u.Revision == s.Serving {
			tries = max(tries, u.Tries+1)
		}
	}
	return tries
}

// MoveRetryAt is when proxies that were not moved are to be tried again; zero for never.
func (f *Fleet) MoveRetryAt() (at time.Time) {
	if f.fileless != nil || f.Rollout != nil {
		return at
	}
	for node, u := range f.Unmoved {
		if _, barred := f.Barred(node); barred && u.Surroundings {
			at = sooner(at, u.retryAt())
		}
	}
	return at
}

func (u Unmoved) retryAt() time.Time { return u.At.Add(backOff(u.Tries)) }

// moveAgain lets those come whose time it is.
func (s *step) moveAgain() {
	if at := s.MoveRetryAt(); at.IsZero() || s.now.Before(at) {
		return
	}
	for node, u := range s.Unmoved {
		if u.Surroundings && !s.now.Before(u.retryAt()) {
			u.Again = true
			s.Unmoved[node] = u
		}
	}
	s.do(MoveAgain{})
	s.do(Store{})
}
