package rollout

import "fmt"

// answeredByFilters are requests that filters answered 5xx, and the service never had.
var answeredByFilters = &source{
	name: "filters", byRequests: true,
	against: func(s *step, node string, _ Counters, plan Plan) charge { return s.byFilters(s.proxies[node], plan) },
}

// byFilters tells of requests that filters answered 5xx, and the service never had.
// A VM that has crashed under FAIL_CLOSED answers so for good, one under FAIL_OPEN
// once, and then lets all requests pass; neither shows in a statistic of Wasm's. That once may
// be in the report which is of the time before the flip, too: where nothing of the kind was
// answered before, it counts.
func (s *step) byFilters(p *proxy, plan Plan) charge {
	t := &p.traffic
	enough := plan.Limits.MinRequests
	before, rest := t.before.last(len(t.before.windows)), s.rest.last(len(s.rest.windows))
	usual := max(before.filterShare(enough), rest.filterShare(enough), s.sharesBefore().filterShare(enough))
	switch now := t.after.last(len(t.after.windows)); {
	case plan.FailOpen && now.filtered+t.around > 0 && usual == 0:
		return charge{evidence: CrashedVMs, reason: many(now.filtered+t.around) + " had a 5xx from a filter, as from one whose VM crashes; under FAIL_OPEN all others pass it then"}
	case !t.right && t.wrong > 0 && !plan.LiveChecks && usual == 0:
		return charge{evidence: s.crashSign(t.wrong, enough), reason: fmt.Sprintf("each of its requests since it has the revision, %d so far, was answered 5xx by a filter, as by one whose VM has crashed; none reached the service", t.wrong)}
	}
	switch by := s.compare(p, filterMeasure, plan.Limits); {
	case by.reason != "":
		return charge{evidence: CrashedVMs, facets: []string{plan.limitsFacet()}, reason: by.reason}
	case by.told:
		return charge{}
	}
	now := t.after.last(len(t.after.windows))
	if now.filterShare(enough) > usual+plan.Limits.Errors && !filterMeasure.byChanceAlone(now, plan.Limits, before, rest, s.sharesBefore()) {
		return charge{evidence: CrashedVMs, facets: []string{plan.limitsFacet()}, reason: fmt.Sprintf("%.1f%% of its last %d requests were answered 5xx by a filter, as by one whose VM has crashed, and did not reach the service; before it had the revision %.1f%% (limit: %.1f%% more)",
			100*now.filterShare(enough), now.requests, 100*usual, 100*plan.Limits.Errors)}
	}
	return charge{}
}

// crashSign is what requests are that were all answered 5xx by a filter: with the
// third it is no chance any more. Of a revision that has answered others rightly it
// takes as many as for any share.
func (s *step) crashSign(wrong uint64, enough int) Evidence {
	if s.Rollout == nil && s.Watch.Right && wrong < uint64(enough) || wrong < 3 {
		return Errors
	}
	return CrashedVMs
}
