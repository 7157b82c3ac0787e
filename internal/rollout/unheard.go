package rollout

import (
	"slices"
	"time"
)

// A proxy that hangs before its flip is not flipped: its users would meet the candidate when it
// goes on, and nobody could tell whether it hangs by that. So one that has proven it, and was not
// heard for longer than usual, is waited for, until it is heard or known to be silent. Then the
// stage goes on without it, as without any that hangs. That is for proxies that report by
// themselves; of others silence tells nothing.

// stalled is for how long the server takes no step of a rollout, which it does all the time, only
// where it was stopped itself: then what proxies have said meanwhile is yet to be taken.
const stalled = 2 * time.Second

func (f *Fleet) noteStall(now time.Time) {
	if f.Rollout != nil && !f.now.IsZero() && now.Sub(f.now) > stalled {
		f.resumed = now
	}
}

// beforeFlip is whether a member that is about to flip is heard.
func (f *Fleet) beforeFlip(node string) hush {
	p := f.proxies[node]
	every := p.every()
	if every == 0 {
		return heard
	}
	since := p.heard
	if f.resumed.After(since) {
		since = f.resumed
	}
	switch quiet := f.now.Sub(since); {
	case quiet <= p.usual():
		return heard
	case quiet < max(quietLeast, 5*every):
		return unsure
	}
	return silent
}

// allUnheard is whether some members are about to flip, and none of them is heard.
func (s *step) allUnheard() bool {
	for node := range s.Rollout.proven {
		if s.beforeFlip(node) == heard {
			return false
		}
	}
	return len(s.Rollout.proven) > 0
}

// leaveUnheard has a stage that is about to flip go on without what is silent.
func (s *step) leaveUnheard() {
	r := s.Rollout
	if len(r.proven) == 0 || !r.Released && !r.allProven() {
		return
	}
	var nodes []string
	for node := range r.proven {
		if s.beforeFlip(node) == silent {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	for _, node := range nodes {
		if s.Rollout == r {
			s.fallSilent(node)
		}
	}
}

// unheardEnds says since when members that are about to flip are not heard, and until when they are
// waited for.
func (f *Fleet) unheardEnds(h *HoldUp, nodes []string) {
	h.Since = time.Time{}
	for _, node := range nodes {
		p := f.proxies[node]
		h.Since = sooner(h.Since, p.heard)
		h.Until = sooner(h.Until, p.heard.Add(max(quietLeast, 5*p.every())))
	}
	h.Then = "the stage goes on without what is not heard, within limits.troubled"
}
