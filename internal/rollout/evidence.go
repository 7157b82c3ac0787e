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
	Filtered uint64 // those of them that a filter answered so, and not the service behind it
	// ServiceErrors are requests that the service behind the filters answered 5xx, or
	// has not answered: those of the proxy's own probes, too.
	ServiceErrors uint64
	// ServiceDenials are requests that the service answered 4xx.
	ServiceDenials uint64
	VMs            int    // Wasm VMs that are alive
	WantVMs        int    // how many there should be: workers + 2 for each one held; 0 if not known
	ConfigFails    uint64 // configurations it could not apply
	Crashes        uint64 // requests that found their VM crashed; under FAIL_RELOAD only
}

// share is what was answered lately.
type share struct {
	windows [8]window
	next    int
}

// window is one report.
type window struct {
	requests, errors, filtered, begun uint64
	active                            int
	at                                time.Time // its end
	span                              time.Duration
}

func (s *share) add(w window) {
	s.windows[s.next%len(s.windows)] = w
	s.next++
}

// last is the sum of the last n reports.
func (s *share) last(n int) window {
	var sum window
	for i := range min(n, s.next, len(s.windows)) {
		sum.plus(s.windows[(s.next-1-i)%len(s.windows)])
	}
	return sum
}

// upTo is the sum of the last n reports that came in up to a moment, and what time they are of.
func (s *share) upTo(until time.Time, n int) (sum window, from, to time.Time) {
	for i := 0; i < min(s.next, len(s.windows)) && n > 0; i++ {
		w := s.windows[(s.next-1-i)%len(s.windows)]
		if w.at.After(until) {
			continue
		}
		if to.IsZero() {
			to = w.at
		}
		sum.plus(w)
		from = w.at.Add(-w.span)
		n--
	}
	return sum, from, to
}

// leastActive are the requests that were in flight at each of the last n reports: streams, and
// those that do not end.
func (s *share) leastActive(n int) int {
	least := 0
	for i := range min(n, s.next, len(s.windows)) {
		if w := s.windows[(s.next-1-i)%len(s.windows)]; i == 0 || w.active < least {
			least = w.active
		}
	}
	return least
}

// errorShare is the share of 5xx, where there are enough requests to speak of one.
func (w window) errorShare(enough int) float64 { return w.share(w.errors, enough) }

// filterShare is the share of 5xx that filters answered.
func (w window) filterShare(enough int) float64 { return w.share(w.filtered, enough) }

func (w window) share(of uint64, enough int) float64 {
	if w.requests < uint64(max(enough, 1)) {
		return 0
	}
	return float64(of) / float64(w.requests)
}

func (w window) rate() float64 {
	if w.span <= 0 {
		return 0
	}
	return float64(w.requests) / w.span.Seconds()
}

// traffic is what a proxy counted before its flip, and since.
type traffic struct {
	before, after share
	last          time.Time
	flipped       bool   // to the candidate, or to what is served and watched
	mixed         bool   // the next report is of the time before a flip, too
	reports       int    // since the flip
	hadVMs        bool   // as many as it should have had, before the flip or while it is watched
	fewVMs        int    // reports in a row with too few
	right         bool   // a request was answered other than by 5xx since the flip
	wrong         uint64 // those that a filter answered 5xx
	serviceErrors uint64 // of the last two reports
	olderErrors   uint64 // of the last one of them
	// serviceDenials and olderDenials are the same of the service's 4xx.
	serviceDenials, olderDenials uint64
	unended                      int64 // requests that began since the flip, less those that ended
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
	t.flipped, t.mixed, t.after, t.reports, t.fewVMs = true, true, share{}, 0, 0
	t.right, t.wrong, t.unended = false, 0, 0
}

func (t *traffic) unflip() {
	if t.flipped {
		t.before, t.mixed = share{}, true
	}
	t.flipped = false
}

// counted takes a proxy's counters, and judges those of a proxy that was flipped
// by its own before, and by those of the proxies that were not.
func (s *step) counted(e Counted) {
	p, r, c := s.proxies[e.Node], s.Rollout, e.Counters
	if p == nil {
		return
	}
	s.hearOnDoubt(e.Node, c)
	t := &p.traffic
	w := window{requests: c.Requests, errors: min(c.Errors, c.Requests), filtered: min(c.Filtered, c.Requests), begun: c.Begun, active: c.Active, at: c.At}
	if !t.last.IsZero() {
		w.span = c.At.Sub(t.last)
	}
	t.last = c.At
	t.unended += int64(c.Begun) - int64(c.Requests)
	t.serviceErrors, t.olderErrors = t.olderErrors+c.ServiceErrors, c.ServiceErrors
	t.serviceDenials, t.olderDenials = t.olderDenials+c.ServiceDenials, c.ServiceDenials
	if t.flipped && p.phase == Flipping {
		return // the old one answers still, or the new one already
	}
	mixed := t.mixed
	t.mixed = false
	if !mixed {
		s.joinCohort(e.Node, c.At, w)
	}
	if t.flipped && p.trouble != nil {
		return // it can't take what it was flipped to
	}
	switch {
	case mixed:
	case r != nil && r.Flipped[e.Node]:
		t.add(w)
		// A first revision's service may be late, and there is no time before to compare with.
		if c := s.against(e.Node, c, r.Plan); c.reason != "" && (c.evidence != Errors || !s.first(e.Node)) {
			s.reject(Rejected, e.Node, c.reason, "", c.facets...)
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

// add takes a report of the time since the flip.
func (t *traffic) add(w window) {
	t.after.add(w)
	t.reports++
	t.right = t.right || w.requests > w.errors
	t.wrong += w.filtered
}

// answeredRightly notes, for good, that what is served has done so.
func (s *step) answeredRightly(t *traffic) {
	if w := s.Watch; w != nil && t.right && !w.Right {
		w.Right = true
		s.do(Save{})
	}
}

// A charge is what speaks against a revision; the zero value: nothing.
type charge struct {
	evidence Evidence
	reason   string
	facets   []string // what of the plan it was by: see Plan.facets
	open     bool     // it is yet to be told whether it is one
}

// against is what a proxy's counters say against the revision that it was flipped to.
func (s *step) against(node string, c Counters, plan Plan) charge {
	p := s.proxies[node]
	t := &p.traffic
	if few := s.fewVMs(t, c); few != "" {
		return charge{evidence: CrashedVMs, reason: few}
	}
	switch {
	case c.Crashes > 0:
		return charge{evidence: CrashedVMs, reason: many(c.Crashes) + " found their Wasm VM crashed"}
	case c.ConfigFails > 0:
		return charge{evidence: CrashedVMs, reason: fmt.Sprintf("%d configurations could not be applied", c.ConfigFails)}
	}
	if by := s.byFilters(p, plan); by.reason != "" {
		return by
	}
	if against := s.tooManyErrors(node, plan.Limits); against != "" {
		return charge{evidence: Errors, reason: against, facets: []string{plan.limitsFacet()}}
	}
	if s.Rollout == nil { // at night there are fewer, too
		return charge{}
	}
	return charge{evidence: Errors, reason: s.quiet(t)}
}

// fewVMs tells of a filter that starts on the main thread and fails on workers:
// what these do then depends on Envoy's version, and none of it is logged.
func (s *step) fewVMs(t *traffic, c Counters) string {
	if !t.hadVMs || c.WantVMs == 0 || c.VMs >= c.WantVMs {
		t.fewVMs = 0
		return ""
	}
	if t.fewVMs++; t.fewVMs < 2 {
		return ""
	}
	return fmt.Sprintf("%d Wasm VMs are alive, and should be %d (workers + 2 for each filter held)", c.VMs, c.WantVMs)
}

// byFilters tells of requests that filters answered 5xx, and the service never had.
// A VM that has crashed under FAIL_CLOSED answers so for good, one under FAIL_OPEN
// once, and then lets all requests pass; neither shows in a statistic of Wasm's.
func (s *step) byFilters(p *proxy, plan Plan) charge {
	t := &p.traffic
	enough := plan.Limits.MinRequests
	before, rest := t.before.last(len(t.before.windows)), s.rest.last(len(s.rest.windows))
	usual := max(before.filterShare(enough), rest.filterShare(enough), s.sharesBefore().filterShare(enough))
	switch now := t.after.last(len(t.after.windows)); {
	case plan.FailOpen && now.filtered > 0 && usual == 0:
		return charge{evidence: CrashedVMs, reason: many(now.filtered) + " had a 5xx from a filter, as from one whose VM crashes; under FAIL_OPEN all others pass it then"}
	case !t.right && t.wrong > 0 && !plan.LiveChecks && usual == 0:
		return charge{evidence: s.crashSign(t.wrong, enough), reason: fmt.Sprintf("each of its requests since it has the revision, %d so far, was answered 5xx by a filter, as by one whose VM has crashed; none reached the service", t.wrong)}
	}
	switch by := s.compare(p, filterMeasure, plan.Limits); {
	case by.reason != "":
		return charge{evidence: CrashedVMs, facets: []string{plan.limitsFacet()}, reason: by.reason}
	case by.told:
		return charge{}
	}
	if now := t.after.last(len(t.after.windows)); now.filterShare(enough) > usual+plan.Limits.Errors {
		return charge{evidence: CrashedVMs, facets: []string{plan.limitsFacet()}, reason: fmt.Sprintf("%.1f%% of its last %d requests were answered 5xx by a filter, as by one whose VM has crashed, and did not reach the service; before it had the revision %.1f%% (limit: %.1f%% more)",
			100*now.filterShare(enough), now.requests, 100*usual, 100*plan.Limits.Errors)}
	}
	return charge{}
}

func many(requests uint64) string {
	if requests == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", requests)
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

// sharesBefore are those of the fleet before it had what it serves, where there is no
// rollout with proxies to compare.
func (s *step) sharesBefore() window {
	if s.Watch == nil || s.Rollout != nil {
		return window{}
	}
	b := s.Watch.Before
	return window{requests: b.Requests, errors: b.Errors, filtered: b.Filtered}
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
	s.undecided(node, by.there && by.reason == "" && s.moreThanBefore(&p.traffic, limits, s.now) != "")
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
