package rollout

import (
	"fmt"
	"time"
)

// moreErrors are more 5xx, whoever answers them, than where the revision is not.
var moreErrors = &source{
	name: "errors", byRequests: true,
	against: func(s *step, node string, _ Counters, plan Plan) charge {
		return charge{evidence: Errors, reason: s.tooManyErrors(node, plan.Limits), facets: []string{plan.limitsFacet()}}
	},
}

// tooManyErrors is by the proxies that have the revision before, where there are such, and
// else by the time before.
func (s *step) tooManyErrors(node string, limits Limits) string {
	p := s.proxies[node]
	by := s.compare(p, errorsMeasure, limits)
	than := s.moreThanBefore(&p.traffic, limits, by.until)
	if by.reason == "" && !by.told {
		by.reason = than
	}
	s.undecided(node+" errors", by.there && by.reason == "" && s.moreThanBefore(&p.traffic, limits, s.now) != "")
	return by.reason
}

func (s *step) moreThanBefore(t *traffic, limits Limits, until time.Time) string {
	before, rest := t.before.last(len(t.before.windows)), s.rest.last(len(s.rest.windows))
	usual := max(before.errorShare(limits.MinRequests), rest.errorShare(limits.MinRequests), s.sharesBefore().errorShare(limits.MinRequests))
	for _, reports := range []int{1, len(t.after.windows)} {
		now, _, _ := t.after.upTo(until, reports)
		if got := now.errorShare(limits.MinRequests); got > usual+limits.Errors {
			return fmt.Sprintf("%.1f%% of its last %d requests were answered 5xx; before it had the revision %.1f%%, elsewhere in the fleet %.1f%% (limit: %.1f%% more)",
				100*got, now.requests, 100*before.errorShare(limits.MinRequests), 100*rest.errorShare(limits.MinRequests), 100*limits.Errors)
		}
	}
	return ""
}

// sharesBefore are those of the fleet before it had what it serves, where there is no
// rollout with proxies to compare.
func (s *step) sharesBefore() window {
	if s.Watch == nil || s.Rollout != nil {
		return window{}
	}
	b := s.Watch.Before
	return window{requests: b.Requests, errors: b.Errors, filtered: b.Filtered}
}
