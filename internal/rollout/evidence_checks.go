package rollout

import "time"

// checks are requests with known answers, that the proxy asks itself.
var checks = &source{name: "checks"}

// probed takes a report on the checks. A report on what the proxy was before does
// not count.
func (s *step) probed(e Probed) {
	p, r := s.proxies[e.Node], s.Rollout
	s.answered(e)
	if e.Probe == ProbeWatch {
		s.watchedProbe(e)
		return
	}
	if s.testified(e) || p == nil || r == nil || e.Of != r.Candidate.ID {
		return
	}
	if s.probedMidFlip(e) {
		return
	}
	inShadow := e.Probe == ProbeShadow && (p.phase == Proving || p.phase == Proven)
	inLive := e.Probe == ProbeLive && (p.phase == Confirming || p.phase == Confirmed || p.phase == AwaitingService)
	if !inShadow && !inLive {
		return
	}
	if inShadow {
		s.noteBefore(e)
	} else {
		p.shown = p.shown || e.Passed
		e = s.withoutRefused(e)
	}
	if inShadow && !r.Plan.ShadowChecks && s.answeredBefore(e) {
		return
	}
	confirmed := p.phase == Confirmed
	switch {
	case e.Passed:
	case s.asksOnceMore(e):
		return
	case inShadow:
		s.checkFails(e, "in its shadow listener (no user's request met it)")
		return
	case s.awaitService(e):
		return
	case s.excused(e): // it goes on as if they had passed
	case !s.hasty(e) && (s.waitsForWitnesses(e) || s.asksAnew(e)):
		if confirmed {
			s.flapped(e)
		}
		return
	default:
		around := s.othersFail(e.Node)
		s.checkFails(e, "in its real listener")
		s.blameService(r, e, around)
		return
	}
	s.blipOver(e)
	p.lastGood, p.wrongAt = s.now, time.Time{}
	switch {
	case p.phase == Confirming && p.opening.waits: // the listener before has answered
	case p.phase == Confirming, p.phase == AwaitingService:
		s.enter(e.Node, Confirmed)
	case p.phase == Proving && p.good.IsZero():
		p.good = s.now
	case p.phase == Proving && s.now.Sub(p.good) >= r.Plan.Prove:
		s.enter(e.Node, Proven)
	}
}

// checkFails takes a failing check as evidence.
func (s *step) checkFails(e Probed, where string) {
	s.accuse(e.Node, charge{evidence: FailingChecks, reason: "a check fails " + where + ": " + e.Failed, facets: s.Rollout.Plan.checkFacets(e.Checks)})
}

// watchedProbe takes a report on the checks of what is served. One failure may be the
// service's, which restarts say: they are asked anew, and must fail again. Those that
// it may have answered so, while the proxy counts that it does, are not the filters'.
func (s *step) watchedProbe(e Probed) {
	p, w := s.proxies[e.Node], s.Watch
	if p == nil || e.Of != s.Serving.ID || !s.asks(p) {
		return
	}
	if e.Passed {
		s.outlive(e.Node)
	}
	if e = s.withoutExcused(e, w.Excused); e.Passed {
		s.watchedPass(e.Node)
		return
	}
	if w.Plan.provenInShadow() && onlyLimited(e) {
		return
	}
	if p.failures++; p.failures == 1 {
		p.failedAt = s.now
	}
	p.asked++ // another inquiry: one that has failed never passes again
	s.do(Assign{e.Node})
	c := charge{from: checks, evidence: FailingChecks, reason: "a check fails: " + e.Failed, facets: w.Plan.checkFacets(e.Checks)}
	switch {
	case p.failures < 2, e.Unsure && s.now.Sub(p.failedAt) < blip:
		c.evidence, c.reason, c.open = Errors, "a check fails (it is asked anew): "+e.Failed, true
	case e.Unsure && s.now.Sub(p.failedAt) < serviceGrace && !p.traffic.last.IsZero():
		c.evidence, c.reason, c.open = Errors, "a check fails (its counters are to say whether it is the service): "+e.Failed, true
	case e.Unsure && p.traffic.serviceErrors > 0:
		c.evidence, c.reason = Errors, "a check fails, and the service behind the filters answers 5xx, or not at all: "+e.Failed
	}
	s.suspect(e.Node, c)
}

func (s *step) watchedPass(node string) {
	p, w := s.proxies[node], s.Watch
	p.failures = 0
	if !w.Right {
		w.Right = true
		s.do(Store{})
	}
	if p.symptom != nil && p.symptom.source == checks {
		s.wellAgain(node)
	}
}
