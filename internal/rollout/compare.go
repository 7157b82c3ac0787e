package rollout

import (
	"fmt"
	"math"
	"time"
)

// While a part of the fleet is still on the revision before, the share of errors of those
// that have the new one is held against theirs over the same time: a service that fails for
// all is no evidence then, and one that fails for the new ones only is, whatever was before.
//
// How it is told:
//
//   - The reports of proxies that hold one revision for a while are summed by the second, for a
//     minute: a cohort.
//   - Proxies report when they do, each what it answered since its last report. So what the
//     others failed in the time of some reports is in theirs of that time, or in those just
//     before and after: all of these errors count, over the requests of the time itself. For
//     that they must be in: what is judged is a report old.
//   - The difference must be larger than the limit, and than chance makes it; see byChance.
//   - Where the others fail at times, the service is at it: how many are met by that depends
//     on the traffic of each, and the difference must be larger by as much; see unrest.
//   - A proxy that failed more than the others before it had the revision (its zone's service,
//     say) may do so after it.

const (
	cohortSeconds = 60
	// reportSlack is how much later than it was due a report may come in.
	reportSlack = 500 * time.Millisecond
	// comparing is for how long a stage does not end while more errors than before are
	// compared.
	comparing = 10 * time.Second
)

// A cohort is what proxies answered that hold one revision for a while, by the second.
type cohort struct {
	seconds [cohortSeconds]struct {
		at  int64
		sum window
	}
	report time.Duration // the longest time between two reports

	members, atStart int       // proxies in it, now and when it began
	began            time.Time // to be of this size, about: before that its requests weigh less, or more
}

func (c *cohort) add(at time.Time, w window) {
	second := &c.seconds[at.Unix()%cohortSeconds]
	if second.at != at.Unix() {
		second.at, second.sum = at.Unix(), window{}
	}
	second.sum.plus(w)
	c.report = min(max(c.report, w.span), cohortSeconds*time.Second/4)
}

// between is what was reported after one moment and up to another.
func (c *cohort) between(from, to time.Time) (sum window) {
	for second := max(from.Unix()+1, to.Unix()-cohortSeconds+1); second <= to.Unix(); second++ {
		if s := &c.seconds[second%cohortSeconds]; s.at == second {
			sum.plus(s.sum)
		}
	}
	return sum
}

func (w *window) plus(v window) {
	w.requests += v.requests
	w.errors += v.errors
	w.filtered += v.filtered
	w.begun += v.begun
	w.redirects += v.redirects
	w.denials += v.denials
	w.span += v.span
}

// cohortsMost bounds how many are kept: of what is served, a candidate and those before.
const cohortsMost = 2 * DefaultKeep

// joinCohort adds a proxy's report to those of its revision, unless it is between two: then
// what it answers is neither's.
func (s *step) joinCohort(node string, at time.Time, w window) {
	p := s.proxies[node]
	live := p.accepted.Live
	if live == "" || p.base != "" || p.phase == AwaitingService || s.Target(node).Live != live && !p.whole {
		s.leaveCohort(p, at)
		return
	}
	if s.cohorts == nil || s.cohorts[live] == nil && len(s.cohorts) >= cohortsMost {
		s.cohorts = map[string]*cohort{}
	}
	c := s.cohorts[live]
	if c == nil {
		c = &cohort{}
		s.cohorts[live] = c
	}
	if p.cohort != c {
		s.leaveCohort(p, at)
		p.cohort = c
		c.resize(1, at)
	}
	c.add(at, w)
}

// leaveCohort takes a proxy out of the one it was of.
func (s *step) leaveCohort(p *proxy, at time.Time) {
	if p.cohort != nil {
		p.cohort.resize(-1, at)
		p.cohort = nil
	}
}

// resize keeps since when a cohort has its size. A larger one has more requests, and would
// make the time since it is so weigh more than what was before.
func (c *cohort) resize(by int, at time.Time) {
	c.members += by
	if 4*c.members > 5*c.atStart || 5*c.members < 4*c.atStart {
		c.atStart, c.began = c.members, at
	}
}

// others are the cohorts of good revisions that are not this one, and that proxies are of.
func (s *step) others(id string) (out []*cohort, report time.Duration) {
	take := func(other string) {
		if c := s.cohorts[other]; c != nil && c.members > 0 && other != id {
			out, report = append(out, c), max(report, c.report)
		}
	}
	if s.Rollout != nil && s.Rollout.Candidate.ID == id {
		take(s.Serving.ID)
	}
	for _, r := range s.Kept() {
		if r.ID != s.Serving.ID {
			take(r.ID)
		}
	}
	return out, report
}

func between(cohorts []*cohort, from, to time.Time) (sum window) {
	for _, c := range cohorts {
		sum.plus(c.between(from, to))
	}
	return sum
}

// A measure is what is compared: the requests of a kind, and its name.
type measure struct {
	of   func(window) uint64
	what string
}

var (
	errorsMeasure = measure{func(w window) uint64 { return w.errors }, "answered 5xx"}
	filterMeasure = measure{func(w window) uint64 { return w.filtered }, "answered 5xx by a filter, and did not reach the service"}
)

// A comparison is with those that have the revision before.
type comparison struct {
	// there says that such proxies have requests, and told, that they are enough to decide by.
	there, told bool
	reason      string    // why the revision is worse, "" while it is not known to be
	until       time.Time // to when all reports are in
}

// compare holds a proxy that has a revision, and all that have it, against the others.
func (s *step) compare(p *proxy, m measure, limits Limits) comparison {
	old, report := s.others(p.runs())
	lately := between(old, s.now.Add(-cohortSeconds*time.Second/2), s.now)
	c := comparison{there: lately.requests > 0, told: lately.requests >= uint64(max(limits.MinRequests, 1)), until: s.now}
	if !c.there {
		return c
	}
	c.until = s.now.Add(-report - reportSlack)
	for _, reports := range []int{1, len(p.traffic.after.windows)} {
		now, from, to := p.traffic.after.upTo(c.until, reports)
		than := m.sameTime(old, from, to, report)
		if c.reason = m.worse(now, than, limits, m.apart(p)); c.reason != "" {
			c.reason = "of this proxy, " + c.reason
			return c
		}
		// Too few to decide by may still show that it is not this revision alone.
		c.told = c.told || now.requests > 0 && m.share(than.window) > 0 && m.share(now) <= m.share(than.window)+limits.Errors
	}
	c.reason = s.compareAll(p.runs(), m, old, c.until, report, limits)
	return c
}

// compareAll holds all that have a revision against those that have the one before, over
// half a minute or since there are as many: where each proxy has few requests.
func (s *step) compareAll(id string, m measure, old []*cohort, until time.Time, report time.Duration, limits Limits) string {
	mine := s.cohorts[id]
	if mine == nil {
		return ""
	}
	from := later(mine.began, until.Add(-cohortSeconds*time.Second/2))
	for _, c := range old {
		from = later(from, c.began)
	}
	if from = from.Add(report); !from.Before(until) {
		return ""
	}
	now, than := mine.between(from, until), m.sameTime(old, from, until, report)
	if m.worse(now, than, limits, 0) == "" {
		return ""
	}
	apart := 0.0 // one of them may have failed more than the others before
	for _, p := range s.proxies {
		if p.accepted.Live == id {
			apart = max(apart, m.apart(p))
		}
	}
	reason := m.worse(now, than, limits, apart)
	if reason == "" {
		return ""
	}
	return "of all that have it, " + reason
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// meanwhile is what the others answered in the time of some reports, with the most of it that
// may have failed.
type meanwhile struct {
	window
	cohorts []*cohort
	to      time.Time
	report  time.Duration
}

func (m measure) sameTime(old []*cohort, from, to time.Time, report time.Duration) meanwhile {
	if to.IsZero() { // there are no reports
		return meanwhile{}
	}
	w := meanwhile{window: between(old, from, to), cohorts: old, to: to, report: report}
	more := between(old, from.Add(-report), to.Add(report))
	w.errors, w.filtered = min(more.errors, w.requests), min(more.filtered, w.requests)
	return w
}

// unrest is how much the others' share of errors comes and goes: the standard deviation of
// that of a report's time in the last minute, without what chance makes of it; or, if that is
// more, how far it is from the mean now.
func (w *meanwhile) unrest(m measure) float64 {
	span := max(time.Second, w.report.Round(time.Second))
	var all window
	squares, spans := 0.0, 0.0
	for to := w.to; w.to.Sub(to) < cohortSeconds*time.Second; to = to.Add(-span) {
		if sum := between(w.cohorts, to.Add(-span), to); sum.requests > 0 {
			all.plus(sum)
			squares += float64(m.of(sum)) * m.share(sum)
			spans++
		}
	}
	if all.requests == 0 {
		return 0
	}
	mean := m.share(all)
	deviation := math.Sqrt(max(0, squares/float64(all.requests)-mean*mean-mean*(1-mean)*spans/float64(all.requests)))
	return max(deviation, math.Abs(m.share(w.window)-mean))
}

func (m measure) share(w window) float64 { return w.share(m.of(w), 1) }

// apart is by how much a proxy failed more than the others before its flip.
func (m measure) apart(p *proxy) float64 {
	own, rest := p.traffic.ownBefore, p.traffic.restBefore
	if own.requests == 0 || rest.requests == 0 {
		return 0
	}
	return max(0, m.share(own)-m.share(rest))
}

// worse says why the new ones are worse than the old; "" where they are not, or it can't be
// told. apart is by how much they were before.
func (m measure) worse(now window, old meanwhile, limits Limits, apart float64) string {
	if now.requests < uint64(max(limits.MinRequests, 1)) || old.requests == 0 {
		return ""
	}
	if m.share(now)-m.share(old.window) <= limits.Errors+apart {
		return ""
	}
	if m.share(now)-m.share(old.window) <= limits.Errors+apart+old.unrest(m) {
		return ""
	}
	usual := uint64(math.Ceil(apart * float64(now.requests)))
	if byChance(m.of(now)-min(usual, m.of(now)), now.requests, m.of(old.window), old.requests) > chance {
		return ""
	}
	return fmt.Sprintf("%.1f%% of %d requests were %s, and at the same time %.1f%% of those of proxies that have the revision before (limit: %.1f%% more)",
		100*m.share(now), now.requests, m.what, 100*m.share(old.window), 100*limits.Errors)
}

// byChanceAlone is whether a share may be chance, where there were some such requests before, or
// elsewhere: a few of a service that fails now and then show any share. Where there were none,
// any are news.
func (m measure) byChanceAlone(now window, limits Limits, usual ...window) bool {
	for _, w := range usual {
		if w.share(m.of(w), limits.MinRequests) > 0 && byChance(m.of(now), now.requests, m.of(w), w.requests) > chance {
			return true
		}
	}
	return false
}

// chance is how probable a difference may be, at most, among proxies that fail alike: a
// fleet is looked at each second, for minutes.
const chance = 1.0 / 30000

// byChance is how probable it is that of all the errors so many, or more, are the new ones',
// if both fail alike: Fisher's exact test, one-sided. It holds for small numbers, where the
// usual ones, by the normal distribution, take two errors of twenty for certain.
// R. A. Fisher, Statistical Methods for Research Workers, 5th ed. (1934), section 21.02;
// the probabilities are those of the hypergeometric distribution.
func byChance(newErrors, newRequests, oldErrors, oldRequests uint64) float64 {
	errors := newErrors + oldErrors
	most := min(newRequests, errors)
	p := math.Exp(choose(newRequests, newErrors) + choose(oldRequests, oldErrors) - choose(newRequests+oldRequests, errors))
	sum := p
	for k := newErrors; k < most && p > sum*1e-9; k++ { // the next: one error more, the others' one less
		p *= float64(newRequests-k) / float64(k+1) * float64(errors-k) / float64(oldRequests-(errors-k)+1)
		sum += p
	}
	return min(1, sum)
}

// choose is the logarithm of in how many ways k of n can be chosen.
func choose(n, k uint64) float64 {
	of := func(x uint64) float64 {
		l, _ := math.Lgamma(float64(x) + 1)
		return l
	}
	return of(n) - of(k) - of(n-k)
}

// noteApart keeps what a proxy that is to flip answered, and the others in that time.
func (s *step) noteApart(node string) {
	p := s.proxies[node]
	own, from, to := p.traffic.before.upTo(s.now, len(p.traffic.before.windows))
	all, _ := s.others(s.Rollout.Candidate.ID)
	rest := between(all, from, to)
	rest.requests -= min(own.requests, rest.requests)
	rest.errors -= min(own.errors, rest.errors)
	rest.filtered -= min(own.filtered, rest.filtered)
	p.traffic.ownBefore, p.traffic.restBefore = window{}, window{}
	if enough := uint64(max(s.Rollout.Plan.Limits.MinRequests, 1)); own.requests >= enough && rest.requests >= enough {
		p.traffic.ownBefore, p.traffic.restBefore = own, rest
	}
}

// undecided notes of a member of a rollout, and of what about it, whether it fails more than
// before, which may be the service's doing, for the stage not to end before that is told.
func (s *step) undecided(node string, is bool) {
	r := s.Rollout
	switch {
	case r == nil:
	case !is:
		delete(r.compared, node)
	case r.compared == nil:
		r.compared = map[string]time.Time{node: s.now}
	case r.compared[node].IsZero():
		r.compared[node] = s.now
	}
}

// compares is since when a stage is kept from its end by that; zero for not at all.
func (r *Rollout) compares(now time.Time) (since time.Time) {
	for _, at := range r.compared {
		if now.Sub(at) < comparing {
			since = sooner(since, at)
		}
	}
	return since
}
