package rollout

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// A check through a real listener asks more than the filters: the service behind them
// answers those that these let pass. It may be late, or down, and that is no evidence
// against a revision. How its failure is told from the filters':
//
//   - Before the flip the candidate's checks are asked through the real listener as it is,
//     while the shadow proves it. After the flip the same wrong answer as before is no
//     evidence, if the answer wanted is the service's; see excused.
//   - While other proxies have the revision before, they are asked its checks beside: what
//     fails there as well, at the same time, is no evidence, and is waited for; see witness.go.
//   - A first revision has nothing before it. What the shadow, where the service is
//     replaced, has proven, and the real listener answers with a failure of the service, is
//     waited for, for as long as it takes; see awaitService.
//
// A check whose answer the filters give by themselves (a 403, say) is excused only where the
// filters before, which are served, had the same check and failed it in the same way: no
// service is met by it. So a filter that traps is found by these and, with checks that only
// let requests pass, by the proxy's counters: what it answers 5xx has not been routed.

const (
	// serviceGrace is how long the counters are waited for that tell whose a failure is,
	// where no shadow has proven the filters, or the answer (a 500) may be theirs, too. Envoy sends them each second.
	serviceGrace = 3 * time.Second
	// askAgain is how often the checks are asked anew while the service is waited for: one
	// that has held for a while and then fails never passes again.
	askAgain = 2 * time.Second
)

// noteBefore takes what checks are answered in the real listener before the flip. Those
// that fail are kept, over a restart too.
func (s *step) noteBefore(e Probed) {
	if len(e.Before) == 0 {
		return
	}
	failing := map[string]int{}
	var right []string
	for _, a := range e.Before {
		if a.Status != a.Want {
			failing[a.Check] = a.Status
		} else {
			right = append(right, a.Check)
		}
	}
	r := s.Rollout
	if p := s.proxies[e.Node]; p != nil {
		p.held, p.right = len(failing) == 0, right
	}
	switch {
	case len(failing) == 0:
		delete(r.Before, e.Node)
	case r.Before == nil:
		r.Before = map[string]map[string]int{e.Node: failing}
	default:
		r.Before[e.Node] = failing
	}
}

// excused is whether each check that fails through a real listener failed there before the
// flip, in the same way, and by the service's doing:
//
//   - the answer wanted is the service's, not the filters' own, but for the last of these;
//   - it was wrong before, and the same, or both are ways in which a service is not there;
//   - where it is another than these (a 404), the revision before has the same check: its
//     filters were to let that request pass, too. Else it might be an answer of theirs, and
//     the candidate not in force;
//   - where the answer wanted is the filters' own, the revision before has the same check as well,
//     and neither it nor the candidate gives that answer, nor a 5xx, which may be the filters'.
//
// A check that was not answered at all before, and is not now, is none against filters that the
// shadow has proven, whoever was to answer: something between the proxy and its listener is in
// the way. A rate limit's refusal needs no before: see limited.
func (s *step) excused(e Probed) bool {
	before, proven := s.Rollout.Before[e.Node], s.Rollout.Plan.provenInShadow()
	for _, a := range e.Wrong {
		if proven && limited(a) {
			continue
		}
		was, failed := before[a.Check]
		same := was == a.Status || absent(was) && (absent(a.Status) || a.Again)
		if failed && proven && was == 0 && a.Status == 0 {
			continue // nobody has answered it before, and the filters are proven: something is in the way
		}
		as := a.Passes && (a.Again || absent(a.Status)) || a.Old && !absent(was) && (a.Passes || was < http.StatusInternalServerError)
		if !failed || !same || !as {
			return false
		}
	}
	if len(e.Wrong) == 0 {
		return false
	}
	how := "it failed in the same way before: "
	if onlyLimited(e) {
		how = "a rate limit refused to answer, and the shadow has proven it: "
	}
	s.once(FailedBefore, e.Node, "no evidence against it: "+how+e.Failed)
	for _, a := range e.Wrong {
		s.excuse(e.Node, a, "")
	}
	return true
}

// limited is whether a check met a rate limit, beside the filters or of the service: it was
// answered 429, which it does not want. Where a shadow listener has no such limit and the
// check has passed there, that tells nothing of the filters.
// https://www.rfc-editor.org/rfc/rfc6585#section-4
func limited(a CheckAnswer) bool {
	return a.Status == http.StatusTooManyRequests && a.Want != http.StatusTooManyRequests
}

// onlyLimited is whether all that fails met one.
func onlyLimited(e Probed) bool {
	return len(e.Wrong) > 0 && !slices.ContainsFunc(e.Wrong, func(a CheckAnswer) bool { return !limited(a) })
}

// provenInShadow is whether proxies have answered the checks in their shadow listeners.
func (p Plan) provenInShadow() bool { return p.Shadow && p.ShadowChecks }

// absent is whether an answer, or none, is what a proxy gives for a service that is not there.
func absent(status int) bool {
	return status == 0 || status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// byService is whether all that fails may be the service's doing. told says that the
// counters show failures of it: then any 5xx may.
func byService(e Probed, told bool) bool {
	return len(e.Wrong) > 0 && !slices.ContainsFunc(e.Wrong, func(a CheckAnswer) bool {
		return !a.Passes || !a.Again && !absent(a.Status) && (!told || a.Status < http.StatusInternalServerError)
	})
}

// denied is whether something that fails was answered 4xx, as a service does that is not
// ready, or a filter. What else fails may be the service's doing, too.
func denied(e Probed) bool {
	some := false
	for _, a := range e.Wrong {
		is := a.Status >= http.StatusBadRequest && a.Status < http.StatusInternalServerError
		some = some || is
		if !a.Passes || !is && !absent(a.Status) && a.Status < http.StatusInternalServerError {
			return false
		}
	}
	return some
}

// first is whether a proxy has nothing proven that it could go back to: a first revision that
// was given up for a newer one, and that the proxy keeps meanwhile, is none.
func (f *Fleet) first(node string) bool {
	p := f.proxies[node]
	if p != nil && (p.own || p.base != "") {
		return false
	}
	return f.Serving.ID == ""
}

// awaitService is whether checks that fail through a real listener of a first revision
// are waited for: the service behind it is not there, or answers for itself. A 4xx is the
// service's where the shadow has proven that the filters let the request pass, and the
// proxy counts that the service has answered so. That is waited for until the stage's
// deadline only: the check may be wrong, and there is a service.
func (s *step) awaitService(e Probed) bool {
	p, plan := s.proxies[e.Node], s.Rollout.Plan
	inShadow := plan.provenInShadow()
	denies := inShadow && denied(e)
	if !s.first(e.Node) || p.held || !denies && !byService(e, true) {
		return false
	}
	told := p.traffic.serviceErrors > 0 || p.phase == AwaitingService
	if denies {
		told = p.traffic.serviceDenials > 0 || p.phase == AwaitingService && p.denied
	}
	proven := inShadow && byService(e, false)
	if !told && !proven {
		return p.phase == Confirming && s.now.Sub(p.since) < serviceGrace
	}
	if p.denied = denies; p.phase != AwaitingService {
		s.enter(e.Node, AwaitingService)
		how := "the service behind it fails, and not the filters, as its counters tell: "
		switch {
		case denies:
			how = "the service behind it answers for itself, and not the filters, as its counters tell, until the deadline of the stage: "
		case proven:
			how = "the service behind it fails, and what the filters do is proven: "
		}
		s.once(ServiceAwaited, e.Node, how+e.Failed)
	}
	s.askAnew(e.Node)
	return true
}

// askAnew has the checks asked anew of a proxy whose service is waited for.
func (s *step) askAnew(node string) {
	p := s.proxies[node]
	if s.now.Sub(p.askedAt) >= askAgain {
		p.askedAt, p.wrongAt = s.now, time.Time{}
		p.asked++
		s.do(Assign{node})
	}
}

// tooLongDenied gives a first revision up whose service goes on answering a check 4xx. It is
// tried again by itself.
func (s *step) tooLongDenied(node string) {
	r := s.Rollout
	s.reject(Rejected, node, fmt.Sprintf("the service behind it has answered a check 4xx for %s, which the filters let pass: mend the service, or what the check expects", r.stage().Deadline),
		"", r.Plan.checkFacets(r.Plan.Checks)...)
	s.blameSurroundings(r)
}

// awaited takes the counters of a proxy whose service is waited for: where its requests are
// answered 5xx, and reach no service, it is the filters that fail.
func (s *step) awaited(node string, c Counters) {
	p := s.proxies[node]
	if p.phase != AwaitingService || c.Filtered == 0 || c.ServiceErrors > 0 {
		p.filtering = 0
		return
	}
	if p.filtering++; p.filtering >= 2 {
		s.accuse(node, charge{reason: many(c.Filtered) + " had a 5xx from a filter, and not from the service: none reached that"})
	}
}

// blameService says of a revision that was rejected for a check that it may be the service
// alone, which has failed since the flip: it is tried again, later each time. Where its checks
// have never held it may as well be a cluster of its own that leads nowhere, which may begin to.
// Counters come later than the check: the revision is taken back at once, and they are heard
// on it afterwards.
func (s *step) blameService(r *Rollout, e Probed, around bool) {
	p := s.proxies[e.Node]
	switch {
	case p == nil || !byService(e, true):
	case p.traffic.serviceErrors > 0, around, r.Tries > 0:
		s.blameSurroundings(r)
	case r.Move: // its counters are heard by the fleet that it is back in
		if r.Plan.provenInShadow() && byService(e, false) {
			s.blameSurroundings(r)
		}
	default:
		s.doubted = &doubt{revision: r.Candidate.ID, node: e.Node, until: s.now.Add(serviceGrace)}
	}
}

// A doubt is of a rejection by a check that a proxy's next counters may say was the service's
// doing.
type doubt struct {
	revision, node string
	until          time.Time
}

// hearOnDoubt takes these.
func (s *step) hearOnDoubt(node string, c Counters) {
	d := s.doubted
	if d == nil || d.node != node {
		return
	}
	i := s.rejection(d.revision)
	switch {
	case i < 0 || s.now.After(d.until):
		s.doubted = nil
	case c.ServiceErrors > 0 && c.Filtered == 0:
		s.Rejected[i].Surroundings, s.doubted = true, nil
		s.do(Store{})
	}
}

// copyBefore is for Copy: what is noted of a proxy is never written to.
func (r *Rollout) copyBefore() map[string]map[string]int { return maps.Clone(r.Before) }
