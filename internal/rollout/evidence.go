package rollout

import (
	"fmt"
	"time"
)

// Counters are what a proxy counted since its last report.
type Counters struct {
	At          time.Time
	Requests    uint64 // completed, of its real listeners; its own probes are none of them
	Errors      uint64 // those answered 5xx
	VMs         int    // Wasm VMs that are alive
	WantVMs     int    // how many there should be: workers + 2 for each one held; 0 if not known
	ConfigFails uint64 // configurations it could not apply
	Crashes     uint64 // requests that found their VM crashed; under FAIL_RELOAD only
}

// share is what was answered lately.
type share struct {
	windows [8]window
	next    int
}

// window is one report.
type window struct {
	requests, errors uint64
	span             time.Duration
}

func (s *share) add(w window) {
	s.windows[s.next%len(s.windows)] = w
	s.next++
}

// last is the sum of the last n reports.
func (s *share) last(n int) window {
	var sum window
	for i := range min(n, s.next, len(s.windows)) {
		w := s.windows[(s.next-1-i)%len(s.windows)]
		sum.requests += w.requests
		sum.errors += w.errors
		sum.span += w.span
	}
	return sum
}

// errorShare is the share of 5xx, where there are enough requests to speak of one.
func (w window) errorShare(enough int) float64 {
	if w.requests < uint64(max(enough, 1)) {
		return 0
	}
	return float64(w.errors) / float64(w.requests)
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
	flipped       bool
	mixed         bool // the next report is of the time before a flip, too
	reports       int  // since the flip
	hadVMs        bool // before it, as many as it should have had
	fewVMs        int  // reports in a row with too few
}

func (t *traffic) flip() {
	t.flipped, t.mixed, t.after, t.reports, t.fewVMs = true, true, share{}, 0, 0
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
	t := &p.traffic
	w := window{requests: c.Requests, errors: min(c.Errors, c.Requests)}
	if !t.last.IsZero() {
		w.span = c.At.Sub(t.last)
	}
	t.last = c.At
	if t.flipped && p.phase == Flipping {
		return // the old one answers still, or the new one already
	}
	mixed := t.mixed
	t.mixed = false
	switch {
	case mixed:
	case r == nil || !t.flipped:
		t.before.add(w)
		t.hadVMs = c.WantVMs > 0 && c.VMs >= c.WantVMs
		s.rest.add(w)
	default:
		t.after.add(w)
		t.reports++
		s.judge(e.Node, p, c)
	}
}

func (s *step) judge(node string, p *proxy, c Counters) {
	t := &p.traffic
	against := s.fewVMs(t, c)
	var by []string
	switch {
	case against != "":
	case c.Crashes > 0:
		against = fmt.Sprintf("%d requests found their Wasm VM crashed", c.Crashes)
	case c.ConfigFails > 0:
		against = fmt.Sprintf("%d configurations could not be applied", c.ConfigFails)
	default:
		if against = s.tooManyErrors(t); against != "" {
			by = []string{s.Rollout.Plan.limitsFacet()}
		} else {
			against = s.quiet(t)
		}
	}
	if against != "" {
		s.reject(Rejected, node, against, "", by...)
	}
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

func (s *step) tooManyErrors(t *traffic) string {
	limits := s.Rollout.Plan.Limits
	before, rest := t.before.last(len(t.before.windows)), s.rest.last(len(s.rest.windows))
	usual := max(before.errorShare(limits.MinRequests), rest.errorShare(limits.MinRequests))
	for _, reports := range []int{1, len(t.after.windows)} {
		now := t.after.last(reports)
		if got := now.errorShare(limits.MinRequests); got > usual+limits.Errors {
			return fmt.Sprintf("%.1f%% of its last %d requests were answered 5xx; before it had the revision %.1f%%, elsewhere in the fleet %.1f%% (limit: %.1f%% more)",
				100*got, now.requests, 100*before.errorShare(limits.MinRequests), 100*rest.errorShare(limits.MinRequests), 100*limits.Errors)
		}
	}
	return ""
}

// quiet tells of requests that never end: they are not counted, and no error is.
func (s *step) quiet(t *traffic) string {
	const reports = 3
	before, now := t.before.last(len(t.before.windows)), t.after.last(reports)
	if t.reports < reports || now.span < 3*time.Second || before.rate() < 5 {
		return ""
	}
	// Not none at all: a probe is counted as it begins, a request as it ends.
	if now.rate() > before.rate()/20 {
		return ""
	}
	if rest := s.rest.last(len(s.rest.windows)); rest.span > 0 && rest.rate() == 0 {
		return "" // no one sends any
	}
	return fmt.Sprintf("it answers %.1f requests a second, its probes not counted, and answered %.1f before", now.rate(), before.rate())
}
