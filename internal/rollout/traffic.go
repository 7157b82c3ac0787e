package rollout

import (
	"fmt"
	"time"
)

// Counters are what a proxy counted since its last report.
type Counters struct {
	At       time.Time
	Requests uint64 // completed, of its real listeners; its own probes are none of them
	Begun    uint64 // those that began, of the same
	Active   int    // those that have not ended, streams among them
	Errors   uint64 // those answered 5xx
	// Redirects and Denials are those answered 3xx and 4xx. One is under 0 where an answer to a
	// probe was counted as the probe's before it was as an answer: the next makes up for it.
	Redirects, Denials int64
	// ProbesLost says that there may be answers to probes among these.
	ProbesLost bool
	Filtered   uint64 // those of them that a filter answered so, and not the service behind it
	// ServiceErrors are requests that the service behind the filters answered 5xx, or
	// has not answered: those of the proxy's own probes, too.
	ServiceErrors uint64
	// ServiceDenials are requests that the service answered 4xx.
	ServiceDenials uint64
	VMs            int    // Wasm VMs that are alive
	Warming        int    // listeners that are yet to be warm, and so to listen
	WantVMs        int    // how many there should be: workers + 2 for each one held; 0 if not known
	ConfigFails    uint64 // configurations it could not apply
	Crashes        uint64 // requests that found their VM crashed; under FAIL_RELOAD only
	Bytes          uint64 // that its listeners sent, also to its own probes
	// Median and P99 are how long requests took, in milliseconds.
	Median, P99 float64
	Named       map[string]Named // those of Plan.Evidence; one that is not there is 0
}

// Named is a statistic: what was added to a counter, or the value of a gauge.
type Named struct {
	Value uint64
	Gauge bool
}

// traffic is what a proxy counted before its flip, and since.
type traffic struct {
	before, after share
	last          time.Time
	asked         bool          // by users, in the time of the last report
	every         time.Duration // between its last two reports; zero before it has made two
	flipped       bool          // to the candidate, or to what is served and watched
	mixed         bool          // the next report is of the time before a flip, too
	reports       int           // since the flip
	hadVMs        bool          // as many as it should have had, before the flip or while it is watched
	fewVMs        int           // reports in a row with too few
	around        uint64        // requests that a filter answered 5xx in reports that are of the flip itself
	right         bool          // a request was answered other than by 5xx since the flip
	wrong         uint64        // those that a filter answered 5xx
	serviceErrors uint64        // of the last two reports
	olderErrors   uint64        // of the last one of them
	// serviceDenials and olderDenials are the same of the service's 4xx.
	serviceDenials, olderDenials uint64
	unended                      int64 // requests that began since the flip, less those that ended
	regained                     bool  // requests failed until it was taken back, and it has not been given another candidate since
	leftover                     bool  // regained at its last flip, and no report since has been without a 5xx: connections may stay with what was rejected
	habit                        habit
	named                        map[string]*track // of Plan.Evidence; nil for none
	// ownBefore and restBefore are what it and the others answered before its flip; none
	// where that were too few.
	ownBefore, restBefore window
}

// flip is to another revision. What it is judged by is the time before: that of the
// revision that was watched, if that is known.
func (t *traffic) flip() {
	if t.flipped && t.after.next > 0 {
		t.before = t.after
	}
	t.flipTracks()
	t.flipped, t.mixed, t.after, t.reports, t.fewVMs = true, true, share{}, 0, 0
	t.right, t.wrong, t.around, t.unended = false, 0, 0, 0
}

// serviceCame begins anew what is counted of a first revision that has been confirmed: until then
// the service behind it may not have been there, which is nobody's evidence, now or later. Where
// it was waited for, the next report is of that time, too.
func (t *traffic) serviceCame(awaited bool) {
	t.mixed = t.mixed || awaited || t.serviceErrors > 0 || t.after.last(len(t.after.windows)).errors > 0
	t.after = share{}
}

// forgetWaiting does the same for a first revision that is about to be served: more 5xx were no
// evidence while it was tried, and are none when it is watched.
func (s *step) forgetWaiting() {
	for node, p := range s.proxies {
		if s.first(node) {
			p.traffic.after = share{}
		}
	}
}

// lingering is how many requests of its last reports it takes to say that a proxy failed with what
// was taken back from it: as many as judge by default (limits.min_requests).
const lingering = 20

func (t *traffic) unflip() {
	if t.flipped {
		t.named = nil
		t.regained = t.after.last(heardAfter).errorShare(lingering) > 0
		t.before, t.mixed, t.habit = share{}, true, habit{owed: t.habit.owed, own: t.habit.own, ownOf: t.habit.ownOf, of: t.habit.of}
	}
	t.flipped = false
}

// add takes a report of the time since the flip.
func (t *traffic) add(w window) {
	t.after.add(w)
	t.reports++
	t.right = t.right || w.requests > w.errors
	t.wrong += w.filtered
}

// counted takes a proxy's counters, and judges those of a proxy that was flipped
// by its own before, and by those of the proxies that were not.
func (s *step) counted(e Counted) {
	p, r, c := s.proxies[e.Node], s.Rollout, e.Counters
	if p == nil {
		return
	}
	s.countWarming(e.Node, c.Warming, c.At)
	s.hearOnDoubt(e.Node, c)
	s.explainBlips(e.Node, c)
	t := &p.traffic
	w := window{requests: c.Requests, errors: min(c.Errors, c.Requests), filtered: min(c.Filtered, c.Requests), begun: c.Begun, active: c.Active, at: c.At, bytes: c.Bytes, median: c.Median, p99: c.P99}
	w.redirects, w.denials = t.habit.users(c, w)
	w.classless = c.ProbesLost
	if !t.last.IsZero() {
		w.span = c.At.Sub(t.last)
		t.every = w.span
	}
	t.last, t.asked = c.At, w.requests > 0
	t.leftover = t.leftover && (w.requests == 0 || w.errors > 0)
	t.unended += int64(c.Begun) - int64(c.Requests)
	t.serviceErrors, t.olderErrors = t.olderErrors+c.ServiceErrors, c.ServiceErrors
	t.serviceDenials, t.olderDenials = t.olderDenials+c.ServiceDenials, c.ServiceDenials
	if t.flipped && (t.mixed || p.phase == Flipping) {
		t.around += w.filtered
	}
	if t.flipped && p.phase == Flipping {
		s.countedMidFlip(e.Node, c, w) // the old one answers still, or the new one already
		return
	}
	mixed := t.mixed
	t.mixed = false
	if !mixed {
		s.joinCohort(e.Node, c.At, w)
		s.practise(p, w)
		s.track(p, c, w.span)
	}
	if t.flipped && p.trouble != nil && !s.countedInTrouble(e.Node, c, w) {
		return
	}
	switch {
	case mixed:
	case r != nil && r.Flipped[e.Node]:
		t.add(w)
		// A first revision's service may be late, and there is no time before to compare with.
		if c := s.against(e.Node, c, r.Plan); c.reason != "" && (c.evidence != Errors || !s.first(e.Node)) {
			s.accuse(e.Node, c)
			return
		}
		s.awaited(e.Node, c)
	case t.flipped:
		t.add(w)
		t.hadVMs = t.hadVMs || c.WantVMs > 0 && c.VMs >= c.WantVMs
		if r != nil {
			s.rest.add(w)
		}
		s.answeredRightly(t)
		s.watched(e.Node, p, c)
	default:
		t.before.add(w)
		t.hadVMs = c.WantVMs > 0 && c.VMs >= c.WantVMs
		s.rest.add(w)
	}
}

// answeredRightly notes, for good, that what is served has done so.
func (s *step) answeredRightly(t *traffic) {
	if w := s.Watch; w != nil && t.right && !w.Right {
		w.Right = true
		s.do(Store{})
	}
}

func many(requests uint64) string {
	if requests == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", requests)
}
