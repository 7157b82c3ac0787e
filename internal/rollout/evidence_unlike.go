package rollout

import (
	"fmt"
	"math"
)

// unlikeAnswers are answers that take much longer than before, or are much shorter: a filter that
// waits for something, bodies that are lost.
//
// Neither is judged by a mean, which one large or slow answer moves. It is judged where all reports
// since the flip are apart from all before, five from eight, and by the limit: of reports that
// come in any order, one order of 1,287 is like that (F. Wilcoxon, Individual Comparisons by
// Ranking Methods, Biometrics 1, 1945). The other proxies must not have changed alike at the same
// time, and there must be some: a machine or a service that is slow is so for all.
var unlikeAnswers = &source{
	name: "answers unlike before", byRequests: true,
	against: byLimits(OtherAnswers, (*step).answersUnlike, Plan.answersFacet),
}

const (
	apart       = 5 // reports in a row since the flip
	apartBefore = 5 // and before it, at least
)

// A trait is what the answers of a report are like; a larger one is worse.
type trait struct {
	limit    func(Limits) float64 // how many times as large it may be
	enough   int                  // how many times the least number of requests it takes to tell it
	smallest float64              // of which no part is told
	of       func(window) float64
	counts   func(now, before float64) bool // whether the difference is of any importance
	say      func(now, before, limit float64) string
}

var traits = []trait{
	{
		limit: func(l Limits) float64 { return l.Latency }, enough: 1, smallest: 1,
		of: func(w window) float64 { return w.median }, counts: muchLonger,
		say: func(now, before, limit float64) string {
			return fmt.Sprintf("half of its requests take %.0f ms or longer, and took %.0f ms at most before it had the revision (limit: %.4g times as long)", now, before, limit)
		},
	},
	{
		limit: func(l Limits) float64 { return l.Latency }, enough: 5, smallest: 1, // of fewer it is the slowest one or two
		of: func(w window) float64 { return w.p99 }, counts: muchLonger,
		say: func(now, before, limit float64) string {
			return fmt.Sprintf("one of a hundred of its requests takes %.0f ms or longer, and took %.0f ms at most before it had the revision (limit: %.4g times as long)", now, before, limit)
		},
	},
	{
		limit: func(l Limits) float64 { return l.Length }, enough: 1, smallest: 1e-12,
		of:     answersAByte,
		counts: func(_, before float64) bool { return before > 0 && 1/before >= 1000 }, // bytes: less is headers
		say: func(now, before, limit float64) string {
			return fmt.Sprintf("its answers have %.0f bytes at most on average, and had %.0f or more before it had the revision (limit: %.4g times as few)", 1/now, 1/before, limit)
		},
	},
}

// answersAByte is not known where no bytes are counted.
func answersAByte(w window) float64 {
	if w.bytes == 0 {
		return math.NaN()
	}
	return float64(w.requests) / float64(w.bytes)
}

func muchLonger(now, before float64) bool { return now-before >= 100 } // ms

// answersUnlike says in which way a proxy's answers are unlike those before.
func (s *step) answersUnlike(node string, limits Limits) (reason string) {
	p := s.proxies[node]
	if !s.judgesAnswers(p) {
		return ""
	}
	open := false
	for i, tr := range traits {
		n := 0
		for n < apart && s.worseBy(i, p, limits, n+1) {
			n++
		}
		open = open || n >= 2
		if n == apart && reason == "" {
			now, _, _ := tr.extremes(&p.traffic.after, 0, apart, limits)
			_, before, _ := tr.extremes(&p.traffic.before, 0, len(p.traffic.before.windows), limits)
			reason = tr.say(now, before, tr.limit(limits)) + "; " + ifMeant
		}
	}
	s.undecided(node+" unlike", open && reason == "")
	return reason
}

// worseBy is whether the last n reports are all worse than any before the flip, by the limit, and
// by more than on any other proxy.
func (s *step) worseBy(which int, p *proxy, limits Limits, n int) bool {
	tr := traits[which]
	now, _, ok := tr.extremes(&p.traffic.after, 0, n, limits)
	_, before, known := tr.extremes(&p.traffic.before, 0, len(p.traffic.before.windows), limits)
	limit := tr.limit(limits)
	if limit == 0 || ok < n || known < apartBefore || now <= limit*before || !tr.counts(now, before) {
		return false
	}
	elsewhere := s.largerElsewhere(traitReports{which, n}, limits)
	return elsewhere > 0 && now > limit*before*max(1, elsewhere)
}

// traitReports are one of the traits, and how many reports are looked at.
type traitReports struct{ trait, n int }

// largerElsewhere is by how much a trait is larger now on the other proxies, at most. Of
// all that are slow at once, only the first in a second looks at the fleet.
func (s *step) largerElsewhere(of traitReports, limits Limits) float64 {
	a := s.around(limits.MinRequests)
	if known, ok := a.elsewhere[of]; ok {
		return known
	}
	tr, n, elsewhere := traits[of.trait], of.n, 0.0
	for node, other := range s.proxies {
		if t := &other.traffic; s.isOther(a, node, other) && other.base == "" {
			reports := &t.before
			if t.flipped {
				reports = &t.after
			}
			_, is, some := tr.extremes(reports, 0, n+1, limits)
			_, was, more := tr.extremes(reports, n+1, len(reports.windows), limits)
			if some > 0 && more > 0 {
				elsewhere = max(elsewhere, max(is, tr.smallest)/max(was, tr.smallest))
			}
		}
	}
	if a.elsewhere == nil {
		a.elsewhere = map[traitReports]float64{}
	}
	a.elsewhere[of] = elsewhere
	return elsewhere
}

// extremes is the least and the most of those reports that have at least from newer ones, and fewer
// than to; of how many that is, which have enough requests.
func (tr trait) extremes(of *share, from, to int, limits Limits) (least, most float64, n int) {
	for i := from; i < to; i++ {
		w, ok := of.newest(i)
		v := tr.of(w)
		if !ok || math.IsNaN(v) || w.requests < uint64(tr.enough*max(limits.MinRequests, 1)) {
			continue
		}
		if n == 0 {
			least, most = v, v
		}
		least, most = min(least, v), max(most, v)
		n++
	}
	return least, most, n
}
