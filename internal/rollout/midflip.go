package rollout

import (
	"slices"
	"time"
)

// A flip is over in a moment, as a rule, and until it is the old answers still, or the new one
// already. One that lasts has the proxy on a part of each: of what it took it answers with, and what
// is yet to come, an acknowledgement that a listener or cluster keeps back, may never come. So after
// a while its checks are asked through the real listeners, and what it answers is looked at: what
// held there before the flip and does not now is evidence, and so are answers as those of a part
// (partial.go). What is no different from before is not, whichever of the two it is.

// longFlip is how long a flip takes at most that is looked at only when it is over.
const longFlip = 2 * time.Second

// lookAtLongFlips has proxies that take long over it asked the checks.
func (s *step) lookAtLongFlips() {
	r := s.Rollout
	if r == nil || s.stopped() {
		return
	}
	var long []string
	for node := range r.Members {
		if p := s.proxies[node]; p != nil && p.phase == Flipping && !p.midFlip && s.now.Sub(p.since) >= longFlip {
			long = append(long, node)
		}
	}
	slices.Sort(long)
	for _, node := range long {
		s.proxies[node].midFlip = true
		s.do(Assign{node})
	}
}

// flipAsked has checks asked anew that were asked while the flip lasted: of one inquiry none passes
// that has failed, and it was about what is no more.
func (p *proxy) flipAsked() {
	if p.midFlip {
		p.asked++
	}
}

// probedMidFlip takes a report on the checks of a proxy whose flip lasts, and says whether it is
// that of one.
func (s *step) probedMidFlip(e Probed) bool {
	p, r := s.proxies[e.Node], s.Rollout
	if p.phase != Flipping {
		return false
	}
	if !p.midFlip || e.Probe != ProbeLive {
		return true
	}
	e = e.without(func(a CheckAnswer) bool { return a.Status == 0 || !slices.Contains(p.right, a.Check) })
	switch {
	case e.Passed, len(e.Wrong) == 0:
		p.blipAt, p.wrongAt = time.Time{}, time.Time{}
	case s.excused(e), !s.hasty(e) && (s.waitsForWitnesses(e) || s.asksAnew(e)):
	default:
		around := s.othersFail(e.Node)
		s.checkFails(e, "in its real listener, while that takes the revision, and held before")
		s.blameService(r, e, around)
	}
	return true
}

// countedMidFlip takes what a proxy counted while its flip lasts: as of one that has a part of
// the candidate, and of the answers that are no 5xx as of one that has it.
func (s *step) countedMidFlip(node string, c Counters, w window) {
	p, r := s.proxies[node], s.Rollout
	if r == nil || !r.Flipped[node] || !p.midFlip || c.At.Add(-w.span).Before(p.since) {
		return // some of it is of the time before
	}
	p.traffic.after.add(w)
	s.practise(p, w)
	found := s.partly(node, c, w)
	if found.reason == "" {
		found = otherAnswers.against(s, node, c, r.Plan)
		found.from = otherAnswers
	}
	if found.reason != "" {
		s.accuse(node, found)
	}
}
