package rollout

import (
	"math"
	"time"
)

// share is what was answered lately.
type share struct {
	windows [8]report
	next    int
}

// window is one report, or the sum of several.
type window struct {
	requests, errors, filtered, begun uint64
	redirects, denials                uint64 // answered 3xx and 4xx
	classless                         bool   // of which class the answers to users are is not known
	active                            int
	bytes                             uint64
	median, p99                       float64   // of one report; in milliseconds
	at                                time.Time // its end
	span                              time.Duration
}

// report is a window as it is kept: sixteen for each proxy of the fleet. Its denials are
// notKnown where the window is classless.
type report struct {
	at, span                                                      int64
	requests, errors, filtered, begun, redirects, denials, active uint32
	bytes, median, p99                                            float32
}

const notKnown = math.MaxUint32

func (w window) report() report {
	if w.classless {
		w.redirects, w.denials = 0, notKnown
	}
	return report{
		at: w.at.UnixNano(), span: int64(w.span), requests: narrow(w.requests), errors: narrow(w.errors), filtered: narrow(w.filtered),
		begun: narrow(w.begun), redirects: narrow(w.redirects), denials: narrow(w.denials), active: narrow(uint64(max(0, w.active))),
		bytes: float32(w.bytes), median: float32(w.median), p99: float32(w.p99),
	}
}

func (r report) window() window {
	classless := r.denials == notKnown
	if classless {
		r.denials = 0
	}
	return window{
		classless: classless,
		at:        time.Unix(0, r.at), span: time.Duration(r.span), requests: uint64(r.requests), errors: uint64(r.errors), filtered: uint64(r.filtered),
		begun: uint64(r.begun), redirects: uint64(r.redirects), denials: uint64(r.denials), active: int(r.active),
		bytes: uint64(r.bytes), median: float64(r.median), p99: float64(r.p99),
	}
}

// narrow is a count of one report; no proxy has four billion in one.
func narrow(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }

func (s *share) add(w window) {
	s.windows[s.next%len(s.windows)] = w.report()
	s.next++
}

// newest is the report before i others, and whether there is one.
func (s *share) newest(i int) (window, bool) {
	if i >= min(s.next, len(s.windows)) {
		return window{}, false
	}
	return s.windows[(s.next-1-i)%len(s.windows)].window(), true
}

// last is the sum of the last n reports.
func (s *share) last(n int) (sum window) { return s.between(0, n) }

// between is the sum of those reports that have at least from newer ones, and fewer than to.
func (s *share) between(from, to int) (sum window) {
	for i := from; i < to; i++ {
		w, ok := s.newest(i)
		if !ok {
			break
		}
		sum.plus(w)
	}
	return sum
}

// upTo is the sum of the last n reports that came in up to a moment, and what time they are of.
func (s *share) upTo(until time.Time, n int) (sum window, from, to time.Time) {
	for i := 0; n > 0; i++ {
		w, ok := s.newest(i)
		if !ok {
			break
		}
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
func (s *share) leastActive(n int) int { return s.leastBetween(0, n) }

func (s *share) leastBetween(from, to int) int {
	least := 0
	for i := from; i < to; i++ {
		if w, ok := s.newest(i); ok && (i == from || w.active < least) {
			least = w.active
		}
	}
	return least
}

func (s *share) mostActive() (most int) {
	for i := range s.windows {
		w, _ := s.newest(i)
		most = max(most, w.active)
	}
	return most
}

// left are the requests of a time that began and were not answered in it, less those of the
// time before that were.
func (w window) left() uint64 { return w.begun - min(w.requests, w.begun) }

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
