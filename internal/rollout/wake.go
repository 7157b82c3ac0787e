package rollout

import (
	"slices"
	"time"
)

// A process that was stopped for a moment, or starved, finds the checks unanswered that it asked
// before, and says so when it goes on: they have timed out, for no fault of the filters'. So a
// check that is not answered by a proxy that nothing was heard of just before, for longer than
// usual, is asked once more, and counts if it is not answered then either. A filter that hangs
// requests hangs those as well; and where reports come steadily, the first counts.

// wakeful is how long after a proxy is heard again such timeouts come.
const wakeful = 3 * time.Second

// wake notes that a proxy is heard, which may not have been for longer than usual.
func (p *proxy) wake(now time.Time) {
	if now.Sub(p.heard) > p.usual() {
		p.woke = now
	}
}

// asksOnceMore has checks asked once more that were not answered by a proxy that was silent just
// before, and reports whether it does.
func (s *step) asksOnceMore(e Probed) bool {
	p := s.proxies[e.Node]
	answered := func(a CheckAnswer) bool { return a.Status != 0 || a.Again }
	if p.woke.IsZero() || s.now.Sub(p.woke) > wakeful || len(e.Wrong) == 0 || slices.ContainsFunc(e.Wrong, answered) {
		return false
	}
	p.woke = time.Time{}
	if e.Probe == ProbeShadow {
		p.anew++
		p.good = time.Time{}
		if p.phase == Proven {
			s.enter(e.Node, Proving)
		}
	} else {
		p.asked++
		s.unconfirm(e.Node)
	}
	s.do(Assign{e.Node})
	return true
}
