package rollout

import (
	"fmt"
	"time"
)

// moreErrors are more 5xx, whoever answers them, than where the revision is not.
var moreErrors = &source{
	name: "errors", byRequests: true,
	against: byLimits(Errors, (*step).tooManyErrors, Plan.limitsFacet),
}

// tooManyErrors is by the proxies that have the revision before, where there are such, and
// else by the time before.
func (s *step) tooManyErrors(node string, limits Limits) string {
	p := s.proxies[node]
	by := s.compare(p, errorsMeasure, limits)
	than := s.moreThanBefore(p, limits, by.until)
	if by.reason == "" && !by.told {
		by.reason = than
	}
	s.undecided(node+" errors", by.there && by.reason == "" && s.moreThanBefore(p, limits, s.now) != "")
	return by.reason
}

func (s *step) moreThanBefore(p *proxy, limits Limits, until time.Time) string {
	t, id := &p.traffic, p.runs()
	before, rest := t.before.last(len(t.before.windows)), s.rest.last(len(s.rest.windows))
	usual := max(before.errorShare(limits.MinRequests), rest.errorShare(limits.MinRequests), s.sharesBefore().errorShare(limits.MinRequests))
	for _, reports := range []int{1, len(t.after.windows)} {
		now, _, _ := t.after.upTo(until, reports)
		if got := now.errorShare(limits.MinRequests); got > usual+limits.Errors && !errorsMeasure.byChanceAlone(now, limits, before, rest, s.sharesBefore()) {
			return fmt.Sprintf("%.1f%% of its last %d requests were answered 5xx; %s, %s (limit: %.1f%% more)",
				100*got, now.requests, shareText("before it had the revision", before), s.elsewhere(rest, id), 100*limits.Errors)
		}
	}
	return ""
}

// failedAnyway is whether the service behind a proxy fails, and has failed as many as are evidence
// before it had the revision, or elsewhere: what it is rejected for is around it, too.
func (s *step) failedAnyway(node string, limits Limits) bool {
	t := &s.proxies[node].traffic
	before, rest := t.before.last(len(t.before.windows)), s.rest.last(len(s.rest.windows))
	return t.serviceErrors > 0 && max(before.errorShare(limits.MinRequests), rest.errorShare(limits.MinRequests)) > limits.Errors
}

// asksForService is whether a proxy's checks are asked anew, since they fail as a service does, and its
// service fails: the errors that are counted meanwhile tell what the checks are about to.
func (s *step) asksForService(node string) bool {
	p := s.proxies[node]
	return p != nil && !p.blipAt.IsZero() && p.traffic.serviceErrors > 0
}

// elsewhere is how it is where the revision is not or, where all proxies have it, how it is with
// all of them: where these fail alike it is rather something around the fleet.
func (s *step) elsewhere(rest window, id string) string {
	r := s.Rollout
	if r != nil && !r.Move {
		return shareText("elsewhere in the fleet", rest)
	}
	c := s.cohorts[id]
	if c == nil || c.members < 2 {
		return "and no other proxy to compare with"
	}
	return shareText(fmt.Sprintf("on all %d proxies that have it", c.members), c.between(s.now.Add(-cohortSeconds*time.Second/2), s.now))
}

// shareText is the share of a time that may have had no requests.
func shareText(when string, w window) string {
	if w.requests == 0 {
		return when + " there were no requests"
	}
	return fmt.Sprintf("%s %.1f%%", when, 100*w.share(w.errors, 1))
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
