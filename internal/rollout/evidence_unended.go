package rollout

import (
	"fmt"
	"time"
)

// unended are requests that do not end.
var unended = &source{
	name: "requests that do not end", byRequests: true,
	against: func(s *step, node string, _ Counters, _ Plan) charge {
		t := &s.proxies[node].traffic
		pile := t.pile()
		s.undecided(node+" unended", pile >= 2 && pile < piles)
		if reason := s.pilingUp(t, pile); reason != "" {
			return charge{evidence: Errors, reason: reason}
		}
		if s.Rollout == nil { // at night there are fewer, too
			return charge{evidence: Errors, reason: t.stopped()}
		}
		return charge{evidence: Errors, reason: s.quiet(t)}
	},
}

const (
	piles     = 5   // reports in a row in which requests must pile up
	pileShare = 0.2 // of those that begin
)

// pilingUp tells of requests of which a part is not answered, report after report: of those for
// one path, say. Users who give up leave no answer either; if they did so before, or do so
// on other proxies at the same time, it is no evidence.
func (s *step) pilingUp(t *traffic, pile int) string {
	now, before := t.after.last(piles), t.before.last(len(t.before.windows))
	last, _ := t.after.newest(0)
	if pile < piles || now.span < piles*time.Second/2 || last.active <= t.before.mostActive() || 2*leftShare(before) > leftShare(now) {
		return ""
	}
	if s.Rollout != nil && 2*s.leftElsewhere() > leftShare(now) {
		return ""
	}
	return fmt.Sprintf("%.0f%% of its last %d requests are not answered; before it had the revision %.0f%%; in flight are %d, and were %d at most",
		100*leftShare(now), now.begun, 100*leftShare(before), last.active, t.before.mostActive())
}

// pile is in how many of the newest reports requests pile up.
func (t *traffic) pile() (n int) {
	for ; ; n++ {
		w, ok := t.after.newest(n)
		if !ok || w.left() < 3 || float64(w.left()) < pileShare*float64(w.begun) {
			return n
		}
	}
}

func leftShare(w window) float64 { return float64(w.left()) / float64(max(w.begun, 1)) }

// leftElsewhere is the share that is not answered on the other proxies, looked at once a second.
func (s *step) leftElsewhere() float64 {
	a := s.around(s.Rollout.Plan.Limits.MinRequests)
	if a.left != nil {
		return *a.left
	}
	var sum window
	for node, p := range s.proxies {
		t := &p.traffic
		switch {
		case !s.isOther(a, node, p):
		case t.flipped:
			sum.plus(t.after.last(piles))
		default:
			sum.plus(t.before.last(piles))
		}
	}
	left := leftShare(sum)
	a.left = &left
	return left
}

// stopped tells of requests that stopped being answered all at once, while some are in flight.
func (t *traffic) stopped() string {
	all := len(t.after.windows)
	before, now := t.after.between(piles, all), t.after.last(piles)
	if before.rate() < 5 || now.rate() > before.rate()/20 || t.after.leastActive(piles) <= t.after.leastBetween(piles, all) {
		return ""
	}
	return fmt.Sprintf("it answers %.1f requests a second, its probes not counted, and answered %.1f before; in flight are %s that do not end",
		now.rate(), before.rate(), many(uint64(t.after.leastActive(piles))))
}

// quiet tells of requests that do not end: no error of them is counted. Users who have
// stopped sending any are no evidence, however many there were before.
func (s *step) quiet(t *traffic) string {
	before, now := t.before.last(len(t.before.windows)), t.after.last(hangs)
	if t.reports < hangs || now.span < 3*time.Second || before.rate() < 5 {
		return ""
	}
	// Not none at all: a probe is counted as it begins, a request as it ends.
	if now.rate() > before.rate()/20 || !t.hangs() {
		return ""
	}
	if rest := s.rest.last(len(s.rest.windows)); rest.span > 0 && rest.rate() == 0 {
		return "" // no one sends any
	}
	return fmt.Sprintf("it answers %.1f requests a second, its probes not counted, and answered %.1f before; begun since it has the revision and not answered: %s",
		now.rate(), before.rate(), many(uint64(max(t.unended, 1))))
}

// hangs is in how many reports in a row requests must not end.
const hangs = 3

// hangs is whether requests begin that do not end. Those of users who give up, or are many,
// go on beginning. Users who wait, and send no other meanwhile, leave theirs in flight: more
// than there were at any time before, and none is of an answer that streams, since that is
// counted as answered when it begins.
func (t *traffic) hangs() bool {
	now := t.after.last(hangs)
	left := now.begun - min(now.requests, now.begun)
	return left >= 3 && 2*left >= now.begun || t.unended > 0 && t.after.leastActive(hangs) > t.before.leastActive(len(t.before.windows))
}
