package rollout

import (
	"math"
	"time"
)

// How a change of answers is told from all that changes by itself:
//
//   - A proxy that has the candidate is held against itself before, and that difference against
//     the one that the other proxies show over the same time, each against itself: a difference
//     in differences (D. Card, A. Krueger, Minimum Wages and Employment, AER 84, 1994). Proxies
//     may differ by nature, and a service may change its answers to all.
//   - Both must be larger than the limit, and than what the fleet is used to; see habits.
//   - Chance must not explain it: Fisher's exact test, see byChance. Requests that come in
//     bursts are not as many as they seem, so the numbers are divided by how much more their
//     seconds differ than chance has them differ (quasi-likelihood: P. McCullagh, J. Nelder,
//     Generalized Linear Models, 2nd ed., 1989, section 4.5).
//   - Who looks each second finds something at last: R. Johari, P. Koomen, L. Pekelis, D. Walsh,
//     Always Valid Inference, Operations Research 70 (2022). So the nth look may be mistaken with
//     a probability of 1/n(n+1) of that of all, and each of m proxies with an mth: the sum
//     holds for any number of looks.
//   - Users who go from one proxy to another take their answers along: what the others answer
//     less is not counted as this one's more.
//   - It must last until the others have reported on the same time.

// mistaken is how probable it may be that a stage is stopped by chance alone.
const mistaken = 1e-4

// sums are the answers of some proxies of a class now, and what they would be as before.
type sums struct {
	before, now float64 // answers
	was, of     float64 // those of them that are of the class
	expected    float64 // how many of the class there were now, if each had the share that it had before
	spread      float64 // the variance of the difference
	// Each second, of all of them: answers before and now, and those of the class.
	beforeRate, nowRate, wasRate, ofRate float64
}

func (x *sums) add(c class, before, now tally) {
	if before.answers == 0 || now.answers == 0 {
		return
	}
	b, n := float64(before.answers), float64(now.answers)
	x.before += b
	x.now += n
	x.was += float64(c.of(before))
	x.of += float64(c.of(now))
	x.expected += n * c.share(before)
	variance := func(k uint32, n float64) float64 { // Agresti and Coull's, which is not 0 where none are
		p := (float64(k) + 1) / (n + 2)
		return p * (1 - p) / n
	}
	if before.millis > 0 && now.millis > 0 {
		x.beforeRate += b * 1000 / float64(before.millis)
		x.nowRate += n * 1000 / float64(now.millis)
		x.wasRate += float64(c.of(before)) * 1000 / float64(before.millis)
		x.ofRate += float64(c.of(now)) * 1000 / float64(now.millis)
	}
	x.spread += n * n * (variance(c.of(before), b) + variance(c.of(now), n))
}

// addAlone adds a proxy of which there is no before, or no now.
func (x *sums) addAlone(c class, before, now tally) {
	x.before, x.now = x.before+float64(before.answers), x.now+float64(now.answers)
	x.was, x.of, x.expected = x.was+float64(c.of(before)), x.of+float64(c.of(now)), x.expected+float64(c.of(now))
}

// shift is by how much the share is larger than before.
func (x *sums) shift() float64 { return (x.of - x.expected) / max(x.now, 1) }

func (x *sums) share() float64 { return x.of / max(x.now, 1) }

func (x *sums) base() float64 { return x.expected / max(x.now, 1) }

// since is what there would be had all that was before changed as the others have. It is for a
// time before that had an earlier revision, for then only the difference to the others counts.
func (x sums) since(others sums) sums {
	shift := others.shift()
	within := func(part, all float64) float64 { return min(max(0, part+shift*all), all) }
	x.was, x.expected, x.wasRate = within(x.was, x.before), within(x.expected, x.now), within(x.wasRate, x.beforeRate)
	return x
}

func (x *sums) variance() float64 { return x.spread / max(x.now*x.now, 1) }

// surroundings are what a proxy that was flipped is held against, at a moment.
type surroundings struct {
	at      time.Time
	treated int                   // how many were flipped
	rest    [len(classes)]sums    // those that were not, or where they are too few, those of had
	had     [len(classes)]sums    // those that were flipped in an earlier stage
	hadOnly bool                  // rest is had
	all     [len(classes)]sums    // everyone
	pool    subject               // all that were flipped
	swing   [len(classes)]float64 // how far one of the rest is from all of it, at most
	report  time.Duration         // the longest time between two reports
	// scatter is how far one that was flipped answers less of a class, and more: of a fault of
	// the revision all have more, or less, and of users who move some more and some less.
	scatter [len(classes)][2]float64
	// elsewhere and left are what is worked out once for all that are held against the others.
	elsewhere map[traitReports]float64
	left      *float64
}

// around looks at the fleet, at most once a second.
func (s *step) around(enough int) *surroundings {
	old := s.surroundings
	if old != nil && s.now.Sub(old.at) < 900*time.Millisecond {
		return old
	}
	a := &surroundings{at: s.now, pool: subject{looks: new(uint32), found: &time.Time{}}}
	if old != nil {
		a.pool.found, a.pool.looks = old.pool.found, old.pool.looks
	}
	*a.pool.looks++
	for node, p := range s.proxies {
		a.add(p, s.hasCandidate(node, p))
	}
	if a.rest[0].now < float64(enough) { // too few to say what changes by itself
		a.rest, a.hadOnly = [len(classes)]sums{}, true
		if s.Rollout != nil && s.Rollout.baseline.earlier == "" && a.had[0].now >= float64(enough) {
			a.rest = a.had
		}
	}
	for node, p := range s.proxies {
		a.compareOthers(p, s.hasCandidate(node, p))
	}
	s.surroundings = a
	return a
}

// isOther is whether a proxy is one of those that what was flipped is held against: one that does
// not have the candidate, or, in a stage that leaves none of these, one that had it before the stage.
func (s *step) isOther(a *surroundings, node string, p *proxy) bool {
	return !p.traffic.habit.treated && (a.hadOnly || !s.hasCandidate(node, p))
}

// hasCandidate is whether a proxy was given the candidate, in this stage or before: it shows nothing
// of what changes without it.
func (s *step) hasCandidate(node string, p *proxy) bool {
	return s.Rollout != nil && s.Rollout.Flipped[node] || p.traffic.habit.treated
}

func (a *surroundings) add(p *proxy, has bool) {
	h := &p.traffic.habit
	now := h.sum()
	if h.treated {
		a.treated++
	}
	if w, ok := p.traffic.after.newest(0); ok {
		a.report = max(a.report, min(w.span, cohortSeconds*time.Second/4))
	}
	if min(h.own.answers, now.answers) < fewAnswers || p.base != "" {
		for c := range class(len(classes)) {
			a.all[c].addAlone(c, h.own, now)
		}
		return
	}
	for c := range class(len(classes)) {
		a.all[c].add(c, h.own, now)
	}
	if h.treated {
		a.pool.add(h.own, now, &p.traffic)
		return
	}
	rest := &a.rest
	if has {
		rest = &a.had
	}
	for c := range class(len(classes)) {
		rest[c].add(c, h.own, now)
	}
}

// fewAnswers tell nothing of a proxy, not even beside others.
const fewAnswers = 5

// compareOthers notes how far the others are from one another: what was flipped may be as far.
func (a *surroundings) compareOthers(p *proxy, has bool) {
	h := &p.traffic.habit
	now := h.sum()
	if min(h.own.answers, now.answers) < fewAnswers || p.base != "" {
		return
	}
	for c := range class(len(classes)) {
		one := sums{}
		one.add(c, h.own, now)
		far := one.shift() - a.rest[c].shift()
		switch {
		case math.Abs(far) < 3*math.Sqrt(one.variance()): // chance
		case !has || a.hadOnly && !h.treated:
			a.swing[c] = max(a.swing[c], math.Abs(far))
		case !h.treated: // it was of a stage before
		case far < 0:
			a.scatter[c][0] = max(a.scatter[c][0], -far)
		default:
			a.scatter[c][1] = max(a.scatter[c][1], far)
		}
	}
}

// other is how far one that was flipped is off the other way than a subject.
func (a *surroundings) other(c class, x *subject) float64 {
	if x.sums[c].shift() > a.rest[c].shift() {
		return a.scatter[c][0]
	}
	return a.scatter[c][1]
}

// A finding is what came of holding some proxies against the rest.
type finding struct{ certain, likely bool }

// judge holds the answers of a class against those of the rest. usual is how far they are
// apart at times, and mayErr how probable a mistake may be.
func (x *sums) judge(rest, all sums, bursts, limit, usual, mayErr float64) finding {
	shift := x.shift()
	beyond := shift - rest.shift()
	if shift*beyond <= 0 || min(math.Abs(shift), math.Abs(beyond)) <= limit+usual || x.movedFrom(all) || x.othersLeft(rest) {
		return finding{}
	}
	base := min(max(x.base()+rest.shift(), 0), 1)
	before := x.before
	if p := (base*x.before + x.of) / (x.before + x.now); rest.now > 0 {
		before = 1 / (1/x.before + rest.variance()/max(p*(1-p), 1/(x.before+x.now)))
	}
	share := x.share()
	if shift < 0 { // then those of other classes are more
		base, share = 1-base, 1-share
	}
	count := func(n float64) uint64 { return uint64(max(0, n)) }
	n, b := x.now/bursts, before/bursts
	p := byChance(count(share*n), count(math.Ceil(n)), min(count(math.Ceil(base*b)), count(math.Ceil(b))), count(math.Ceil(b)))
	return finding{certain: p < mayErr, likely: p < 0.05}
}

// movedFrom is whether users have only gone from one proxy to another. If so, all proxies
// together answer as before. Where they are too many, or have too few requests, to tell that, the
// others must not answer as much less as these more, or the other way round, by half at least:
// each by itself, or all in all, where one has lost all that it was asked.
func (x *sums) movedFrom(all sums) bool {
	more := x.of - x.expected
	if p := all.was / max(all.before, 1); 4*math.Sqrt(all.now*p*(1-p)*(1+all.now/max(all.before, 1))) < math.Abs(more) {
		return 2*math.Copysign(all.of-all.now*p, more*(all.of-all.now*p)) < math.Abs(more)
	}
	others := sums{before: all.before - x.before, now: all.now - x.now, was: all.was - x.was, of: all.of - x.of, expected: all.expected - x.expected}
	if others.before <= 0 {
		return false
	}
	each, together := others.of-others.expected, others.of-others.now*others.was/others.before
	return more*each < 0 && 2*math.Abs(each) > math.Abs(more) || more*together < 0 && 2*math.Abs(together) > math.Abs(more)
}

// othersLeft is whether the share is larger because others are asked less, and not because
// more are answered so. Traffic may come and go for all.
func (x *sums) othersLeft(rest sums) bool {
	ratio := 1.0
	if rest.beforeRate > 0 && rest.nowRate > 0 {
		ratio = rest.nowRate / rest.beforeRate
	}
	was, is, more := x.wasRate, x.ofRate, x.shift()*x.nowRate
	if more < 0 { // those of other classes are more
		was, is, more = x.beforeRate-x.wasRate, x.nowRate-x.ofRate, -more
	}
	return is-ratio*was < more/2
}

// dispersion is by how much more the shares of seconds differ than chance has them differ.
type dispersion struct{ squares, free float64 }

func (d *dispersion) add(c class, t *traffic) {
	for _, of := range []*share{&t.before, &t.after} {
		d.addSeconds(c, of)
	}
}

func (d *dispersion) addSeconds(c class, of *share) {
	var all tally
	n := 0
	for ; ; n++ {
		w, ok := of.newest(n)
		if !ok {
			break
		}
		all.plus(w.tally())
	}
	mean := c.share(all)
	if n < 2 || mean == 0 || mean == 1 {
		return
	}
	for i := range n {
		if w, _ := of.newest(i); w.tally().answers > 0 {
			t := w.tally()
			off := float64(c.of(t)) - mean*float64(t.answers)
			d.squares += off * off / (mean * (1 - mean) * float64(t.answers))
			d.free++
		}
	}
	d.free--
}

// factor is 1 where chance alone is at it.
func (d *dispersion) factor() float64 {
	if d.free < 1 {
		return 1
	}
	return max(1, d.squares/d.free)
}
