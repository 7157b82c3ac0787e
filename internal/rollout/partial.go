package rollout

import (
	"cmp"
	"fmt"
	"time"
)

// A proxy in trouble may have taken a part of what it could not take all of: a listener whose
// port is free, and not the one beside it. Of a revision that is yet to be proven nothing is
// left on it: what it ran before it is given back at once, all of it, and in the place of
// nothing, nothing. Then it is tried again as a whole. What it answered in between is evidence,
// as of any proxy that was flipped.
//
// A revision that is served is good. A proxy that has nothing, or an older one, is left the part
// of it that it can take, and is watched on that.

// putBack gives a proxy in trouble back what it ran before the candidate.
func (s *step) putBack(e Troubled) {
	p, r := s.proxies[e.Node], s.Rollout
	if r == nil || !r.Flipped[e.Node] || e.Live != r.Candidate.ID || p.own || !r.Plan.Shadow && s.base(e.Node) == "" && e.Whole {
		if p.part = ""; !e.Whole {
			s.keepPart(e)
		}
		return
	}
	delete(r.Flipped, e.Node)
	if s.base(e.Node) == "" && !e.Whole {
		s.opened(e.Node, closedMark+r.Candidate.ID)
	}
	p.part, p.trouble.phase, p.trouble.back, p.trouble.heard = "", Proven, true, 0
	s.do(Assign{e.Node})
	s.do(Store{})
}

// keepPart notes of what a proxy runs a part.
func (s *step) keepPart(e Troubled) {
	p := s.proxies[e.Node]
	p.part = e.Live
	if e.Live == s.Serving.ID && s.Watch != nil && !p.traffic.flipped {
		p.traffic.flip()
	}
}

// tryWhole gives a proxy that was put back the candidate once more.
func (s *step) tryWhole(node string) {
	p := s.proxies[node]
	p.trouble.back, p.trouble.phase = false, Flipping
	s.Rollout.Flipped[node] = true
	p.traffic.flip()
	s.do(Assign{node})
	s.do(Store{})
}

// heardAfter is how many reports of a proxy that was put back are of the time before that, too.
const heardAfter = 2

// countedInTrouble takes a report of a proxy that was flipped and is in trouble, and says whether
// it is to be taken as any other.
func (s *step) countedInTrouble(node string, c Counters, w window) (goesOn bool) {
	p, r := s.proxies[node], s.Rollout
	switch {
	case p.trouble.back && p.trouble.heard >= heardAfter:
		return true
	case p.trouble.back:
		p.trouble.heard++
	case r != nil && r.Flipped[node] && !p.trouble.clock:
	default: // it runs what is good, or a part of it
		return p.part != "" && p.part == s.Serving.ID && (r == nil || !r.Flipped[node])
	}
	p.traffic.add(w)
	if found := s.partly(node, c, w); found.reason != "" {
		s.accuse(node, found)
		return false
	}
	if p.trouble.heard == heardAfter {
		p.traffic.unflip() // from now on it is what it runs that it answers with
	}
	return false
}

// partly is what speaks against a candidate of which a proxy has, or had, a part: crashes at
// once, and shares of requests when the others have reported on the same time.
func (s *step) partly(node string, c Counters, w window) charge {
	p, plan := s.proxies[node], s.Rollout.Plan
	if found := crashed.against(s, node, c, plan); found.reason != "" {
		return found
	}
	enough := plan.Limits.MinRequests
	before, rest := p.traffic.before.last(len(p.traffic.before.windows)), s.rest.last(len(s.rest.windows))
	usual := max(before.filterShare(enough), rest.filterShare(enough))
	if plan.FailOpen && w.filtered > 0 && usual == 0 {
		return charge{evidence: CrashedVMs, reason: many(w.filtered) + " had a 5xx from a filter, as from one whose VM crashes, while the proxy had a part of it"}
	}
	if t := p.trouble; t != nil && t.back && t.heard < heardAfter {
		return charge{}
	}
	others, report := s.others(s.Rollout.Candidate.ID)
	lately := between(others, s.now.Add(-heardAfter*time.Second-report-reportSlack), s.now)
	had := p.traffic.after.last(heardAfter)
	const text = "%.1f%% of %d requests were answered 5xx%s while the proxy had a part of it; before that %.1f%% (limit: %.1f%% more)"
	chance := func(m measure) bool { return m.byChanceAlone(had, plan.Limits, before, rest, lately) }
	if got, usual := had.filterShare(enough), max(usual, filterMeasure.share(lately)); got > usual+plan.Limits.Errors && !chance(filterMeasure) {
		return charge{
			evidence: CrashedVMs, facets: []string{plan.limitsFacet()},
			reason: fmt.Sprintf(text, 100*got, had.requests, " by a filter", 100*usual, 100*plan.Limits.Errors),
		}
	}
	usual = max(before.errorShare(enough), rest.errorShare(enough), errorsMeasure.share(lately))
	if got := had.errorShare(enough); got > usual+plan.Limits.Errors && !s.first(node) && !p.traffic.leftover && !chance(errorsMeasure) {
		return charge{
			evidence: Errors, facets: []string{plan.limitsFacet()},
			reason: fmt.Sprintf(text, 100*got, had.requests, "", 100*usual, 100*plan.Limits.Errors),
		}
	}
	return charge{}
}

// runs is the ID of the revision that a proxy answers with, if only by a part of it.
func (p *proxy) runs() string { return cmp.Or(p.part, p.accepted.Live) }

// PartOf is the ID of the revision of which a proxy runs a part, beside what it accepted last; ""
// for none.
func (f *Fleet) PartOf(node string) string {
	if p := f.proxies[node]; p != nil {
		return p.part
	}
	return ""
}

// Tried is whether a proxy's real listeners are to have a candidate.
func (f *Fleet) Tried(node string) bool { return f.Rollout != nil && f.Rollout.Flipped[node] }

// PutBack is whether a proxy has what it ran before a candidate, until that is tried again.
func (f *Fleet) PutBack(node string) bool {
	p := f.proxies[node]
	return p != nil && p.trouble != nil && p.trouble.back
}
