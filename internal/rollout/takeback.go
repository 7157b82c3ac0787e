package rollout

import (
	"slices"
)

// takeBack undoes what is served, for the evidence against it, as a stage would have.
// It is remembered as rejected, so that it is not sent again.
//
// Of a first revision there is none to go back to. One that has answered a request
// rightly stays: what it does for others is worth more than nothing. One that never
// has is rejected as if its first stage had found it.
func (s *step) takeBack(node string, c charge) {
	back := s.before()
	if back.ID == "" && s.Watch.Right {
		s.stays(node, c.reason)
		return
	}
	if r := s.Rollout; r != nil {
		s.cancelMove("what it brings is taken back")
	}
	undone, reason := s.Serving, string(c.evidence)+": "+c.reason
	s.remember(Rejection{Revision: undone, Node: node, Reason: reason, At: s.now, Kind: TakenBack, By: c.facets})
	s.goBack(back)
	s.record(Entry{Kind: TakenBack, Revision: undone, Node: node, Reason: reason})
	s.do(Store{})
}

// before is the newest revision before what is served that nothing was ever said
// against since: one that was tried again may have failed, or a person went back from it.
func (s *step) before() Revision {
	for _, r := range s.Kept() { // the newest first
		if r.Number < s.Serving.Number && s.rejection(r.ID) < 0 {
			return r
		}
	}
	return Revision{}
}

// stays says, once, that there is nothing to go back to.
func (s *step) stays(node, reason string) {
	if s.Watch.Stays {
		return
	}
	s.Watch.Stays = true
	s.record(Entry{Kind: Stays, Revision: s.Serving, Node: node, Reason: "there is no revision before it to go back to: " + reason})
	s.do(Store{})
}

// goBack serves another revision, that of no ID for none. It was good: everyone gets
// it at once.
func (s *step) goBack(to Revision) {
	s.returned, s.returning = s.Serving, map[string]bool{}
	for node, p := range s.proxies {
		if p.base == "" && to.ID != "" {
			s.returning[node] = true
		}
	}
	if len(s.returning) == 0 {
		s.returning = nil
	}
	if to.ID == "" {
		s.closeFirst(s.Serving.ID)
	}
	good := append(slices.Clone(s.Kept()), s.Serving)
	s.Serving = to
	s.keep(good)
	plan := Plan{}
	if s.Watch != nil {
		plan = s.Watch.Plan
	}
	s.Watch = nil
	s.acquit()
	if to.ID != "" {
		s.Watch = &Watch{Plan: plan, Since: s.now, Right: true} // it is said, and not taken back
	}
	for _, p := range s.proxies {
		p.traffic.unflip()
	}
	s.do(Retarget{})
}

// remember notes a rejection.
func (s *step) remember(r Rejection) {
	s.Rejected = append(s.Rejected, r)
	if more := len(s.Rejected) - maxRejected; more > 0 {
		s.Rejected = slices.Clone(s.Rejected[more:])
	}
}
