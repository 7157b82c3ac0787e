package rollout

import (
	"math"
	"time"
)

// In some fleets proxies live for seconds: those on hosts of short jobs, or of a scaler that can't decide.
// That a member goes soon after it was given a candidate says nothing there. So departures are counted of
// proxies that were given nothing lately, and how long such proxies were there in all. The rate, in
// departures a second of a proxy's time, says how many members would have gone anyway in the first ten
// seconds with the candidate. Only if more have gone than chance explains, it is held against the
// candidate. One that ends processes is found nevertheless: it does so within milliseconds, long before
// its proxies would have gone. The rate is not stored: after a restart of the server it is 0 at first.
const (
	// turnoverHalf is how old a departure is that counts half.
	turnoverHalf = 10 * time.Minute
	// turnoverFew departures are too few to go by.
	turnoverFew = 10
	// turnoverChance is how probable that many losses by chance may be, at most, for them to be held against a
	// candidate.
	turnoverChance = 0.001
)

// turnover counts how often proxies leave by themselves.
type turnover struct {
	at      time.Time // up to which time is counted
	seconds float64   // that proxies were there which had been given nothing lately
	left    float64   // how many of them left, and did not come back within vacancy
	// away are those that have left since a time, and before those that left in the 15 s before that. They may come
	// back, and are not counted in left yet.
	away, before map[string]bool
	since        time.Time
}

// pass counts the time since it was last called, in which there were so many proxies that had been given
// nothing lately.
func (t *turnover) pass(now time.Time, proxies int) {
	if !t.at.IsZero() && now.After(t.at) {
		weight := math.Exp2(-now.Sub(t.at).Seconds() / turnoverHalf.Seconds())
		t.left *= weight
		t.seconds = t.seconds*weight + float64(proxies)*now.Sub(t.at).Seconds()
	}
	t.at = now
	for range 2 { // away becomes before, and before left
		if now.Sub(t.since) >= vacancy {
			t.left += float64(len(t.before))
			t.before, t.away, t.since = t.away, nil, now
		}
	}
}

// leaves notes a proxy that goes. Where more than most are away it is an outage, which says nothing of other times.
func (t *turnover) leaves(node string, most int) {
	if len(t.away) < most {
		t.away = marked(t.away, node, true)
	}
}

// returns notes that a proxy is there again: it has not left.
func (t *turnover) returns(node string) {
	delete(t.away, node)
	delete(t.before, node)
}

// expected is how many proxies would leave in so many seconds, summed over proxies; 0 where too little is known.
func (t *turnover) expected(seconds float64) float64 {
	if t.left < turnoverFew || t.seconds <= 0 {
		return 0
	}
	return t.left / t.seconds * seconds
}

// mayLeave is how many may leave by chance where so many are expected: that more do is less probable than
// turnoverChance. It is a quantile of Poisson's distribution.
func mayLeave(expected float64) (n int) {
	if expected > 500 { // exp(-expected) would be too small a number soon; the normal distribution is as good here
		return int(expected + 3.09*math.Sqrt(expected) + 2)
	}
	term := math.Exp(-expected)
	for left := 1 - term; left > turnoverChance; left -= term {
		n++
		term *= expected / float64(n)
	}
	return n
}

// turns counts the time up to now. It is called before a proxy comes or goes.
func (s *step) turns() {
	n := len(s.proxies)
	if s.Rollout != nil {
		n -= s.Rollout.members
	}
	s.turnover.pass(s.now, n)
}

// newly is whether a proxy was given something of the candidate so lately that its end may be by that.
func (s *step) newly(p *proxy) bool { return !p.given.IsZero() && s.now.Sub(p.given) <= soon }

// countNatural works out how many members may have been lost just as proxies of this fleet leave. It looks at
// all members, and so does that only once in tickEvery.
func (s *step) countNatural() {
	r := s.Rollout
	if s.turnover.left < turnoverFew || s.now.Before(r.naturalAt) {
		return
	}
	seconds := r.outlived
	for _, fall := range r.Fallen {
		seconds += fall.After.Seconds()
	}
	for node := range r.Members {
		if p := s.proxies[node]; p != nil && !p.given.IsZero() {
			seconds += min(s.now.Sub(p.given), soon).Seconds()
		}
	}
	r.natural, r.naturalAt = mayLeave(s.turnover.expected(seconds)), s.now.Add(tickEvery)
}
