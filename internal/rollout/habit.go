package rollout

import (
	"math"
	"time"
)

// A proxy's habit is what it answered lately: of its answers other than 5xx, which are judged
// by themselves, how many were 3xx and 4xx. It is kept in blocks of five seconds, for half a
// minute; when proxies flip, those of all proxies of the fleet become what was before.
type habit struct {
	blocks  [habitBlocks]tally
	next    uint32
	opened  int64 // when the newest began, in Unix nanoseconds; 0: it is yet to
	open    tally
	of      string // the revision that these are of
	early   tally  // of the first seconds with it, when connections are yet to be drained
	settles bool   // these are not over
	own     tally  // before the last flip
	ownOf   string // the revision that it had then
	treated bool   // that flip was its own
	looks   uint32
	found   time.Time           // since when it answers otherwise; zero: it does not
	owed    [len(classes)]int32 // see makeUp
}

const (
	habitBlocks = 6
	blockSpan   = 5 * time.Second
)

// tally is what was answered, other than by 5xx, and in how many milliseconds.
type tally struct{ answers, redirects, denials, millis uint32 }

func (t *tally) plus(u tally) {
	t.answers += u.answers
	t.redirects += u.redirects
	t.denials += u.denials
	t.millis += u.millis
}

// without is a tally less one that is a part of it, about.
func (t tally) without(u tally) tally {
	return tally{t.answers - min(u.answers, t.answers), t.redirects - min(u.redirects, t.redirects), t.denials - min(u.denials, t.denials), t.millis - min(u.millis, t.millis)}
}

func (w window) tally() tally {
	millis := narrow(uint64(max(0, w.span.Milliseconds())))
	if w.classless {
		return tally{millis: millis}
	}
	return tally{narrow(w.requests - min(w.errors, w.requests)), narrow(w.redirects), narrow(w.denials), millis}
}

// A class is one of the classes of answers that are held against the others.
type class int

const (
	redirects class = iota
	denials
)

var classes = [...]struct{ name string }{redirects: {"3xx"}, denials: {"4xx"}}

func (c class) of(t tally) uint32 {
	if c == redirects {
		return t.redirects
	}
	return t.denials
}

func (c class) share(t tally) float64 { return float64(c.of(t)) / float64(max(t.answers, 1)) }

// users are the answers to users among those that a report has.
func (h *habit) users(c Counters, w window) (toRedirects, toDenials uint64) {
	most := int64(w.requests - w.errors)
	toRedirects = makeUp(&h.owed[redirects], c.Redirects, most)
	return toRedirects, makeUp(&h.owed[denials], c.Denials, most-int64(toRedirects))
}

// makeUp makes up for what was taken off too early.
func makeUp(owed *int32, n, most int64) uint64 {
	n += int64(*owed)
	*owed = int32(max(min(n, 0), -1000))
	return uint64(max(0, min(n, most)))
}

// settling is for how long after a flip answers are no measure of the revision: connections that
// were open are answered by the listener before.
const settling = 3 * time.Second

// turn begins anew where a proxy has another revision.
func (h *habit) turn(live string) {
	if h.of == live {
		return
	}
	h.settles = h.of != ""
	h.of, h.early = live, tally{}
	h.clear()
}

// settle takes a report of the first seconds, and says whether it was one.
func (h *habit) settle(t tally) bool {
	if !h.settles {
		return false
	}
	h.early.plus(t)
	h.settles = h.early.millis < uint32(settling.Milliseconds())
	return true
}

func (h *habit) clear() { h.blocks, h.open, h.opened = [habitBlocks]tally{}, tally{}, 0 }

// sum is the half minute, with the first seconds of a revision.
func (h *habit) sum() tally {
	sum := h.lately()
	sum.plus(h.early)
	return sum
}

// lately is the half minute without them.
func (h *habit) lately() (sum tally) {
	for _, b := range h.blocks {
		sum.plus(b)
	}
	sum.plus(h.open)
	return sum
}

// add takes a report in. When that fills a block, whole is it, and before what was before it.
func (h *habit) add(at time.Time, t tally) (whole, before tally, full bool) {
	now := at.UnixNano()
	if h.opened == 0 {
		h.opened = now
	}
	if h.open.plus(t); now-h.opened < int64(blockSpan) {
		return tally{}, tally{}, false
	}
	whole, before = h.open, h.sum().without(h.open)
	h.blocks[h.next%habitBlocks] = h.open
	h.next++
	h.open, h.opened = tally{}, now
	return whole, before, true
}

// freeze makes what it answered lately, with the revision that is live, that which was before. What
// is known of that revision already is kept where that is short. If earlier is given, only what was
// answered with that one is.
func (h *habit) freeze(live, earlier string) {
	h.turn(live)
	lately := h.lately()
	switch {
	case earlier != "" && h.ownOf == earlier:
	case earlier != "":
		h.own = tally{}
	case h.ownOf == live && h.own.answers > 0 && short(lately):
		h.own.plus(lately)
	default:
		h.own, h.ownOf = lately, live
	}
	h.treated, h.looks, h.found, h.early = false, 0, time.Time{}, tally{}
	h.clear()
}

// treat begins to hold it against that.
func (h *habit) treat(live, earlier string) {
	if h.sum().answers > 0 { // it flips later than the others of its stage
		h.freeze(live, earlier)
	}
	h.treated = true
}

// freezeHabits has all proxies of the fleet remember how they answered before a flip.
func (s *step) freezeHabits() {
	for _, p := range s.proxies {
		p.traffic.habit.freeze(p.accepted.Live, s.Rollout.baseline.earlier)
	}
	s.surroundings = nil
}

// practise adds a report to a proxy's habit, and to the fleet's unless it is judged by it.
func (s *step) practise(p *proxy, w window) {
	h, t := &p.traffic.habit, w.tally()
	h.turn(p.accepted.Live)
	if h.settle(t) {
		return
	}
	whole, before, full := h.add(w.at, t)
	if h.treated {
		return
	}
	if whole, before, full := s.habits.all.add(w.at, t); full {
		s.habits.noteAll(whole, before)
	}
	if full {
		s.habits.note(s.now, whole, before)
	}
}

// habits are the fleet's: how far what a proxy answers in five seconds is from what it did in
// the half minute before, though it has the same revision. What comes of users who come and go
// is of that size, and no evidence.
//
// So a flip is held against many times at which nothing was flipped, as in: A. Abadie, A.
// Diamond, J. Hainmueller, Synthetic Control Methods for Comparative Case Studies, JASA 105
// (2010), section 3.4, where they are called placebos.
type habits struct {
	all    habit
	blocks int // that were compared
	// swings are the largest differences of the last ten minutes or more, and of those before:
	// by themselves, and beside what the rest of the fleet answered at the same time.
	swings  [2]swings
	rotated time.Time
}

type swings struct{ alone, beside [len(classes)]float64 }

const (
	swingsKept = 10 * time.Minute
	// habitKnown is how many blocks it takes to know the fleet's habits. Before that a
	// difference must be larger, by at most stranger, and twice that where there are no others.
	habitKnown = 30
	stranger   = 0.15
)

// note takes in a block of a proxy, and what was before it.
func (h *habits) note(now time.Time, whole, before tally) {
	if whole.answers == 0 || before.answers == 0 {
		return
	}
	if now.Sub(h.rotated) > swingsKept {
		h.swings[1], h.swings[0], h.rotated = h.swings[0], swings{}, now
	}
	h.blocks++
	rest := h.all.sum().without(before).without(whole)
	newest := h.all.blocks[(h.all.next+habitBlocks-1)%habitBlocks]
	for c := range class(len(classes)) {
		change := sums{}
		change.add(c, before, whole)
		swing := change.shift()
		if math.Abs(swing) < 3*math.Sqrt(change.variance()) {
			continue // chance
		}
		h.swings[0].alone[c] = max(h.swings[0].alone[c], math.Abs(swing))
		if rest.answers < whole.answers/2 {
			continue // there are no others
		}
		beside := math.Inf(1)
		for _, meanwhile := range []tally{h.all.open.without(whole), newest, newest.without(whole)} {
			beside = min(beside, math.Abs(swing-(c.share(meanwhile)-c.share(rest))))
		}
		h.swings[0].beside[c] = max(h.swings[0].beside[c], beside)
	}
}

// noteAll takes in a block of the whole fleet: where each proxy is asked little, only all of them
// together show that the service answers otherwise at times.
func (h *habits) noteAll(whole, before tally) {
	for c := range class(len(classes)) {
		change := sums{}
		change.add(c, before, whole)
		if swing := math.Abs(change.shift()); swing > 3*math.Sqrt(change.variance()) {
			h.swings[0].alone[c] = max(h.swings[0].alone[c], swing)
		}
	}
}

// usual is how far from before answers are at times, without a flip.
func (h *habits) usual(c class, alone bool) float64 {
	most := 0.0
	for _, s := range h.swings {
		if alone {
			most = max(most, s.alone[c])
		} else {
			most = max(most, s.beside[c])
		}
	}
	more := 1.5 // the next may be larger than all before
	if alone {
		more = 2 // and no one else shows that it is not the revision
	}
	return more*most + (2*more-2)*stranger*float64(max(0, habitKnown-h.blocks))/habitKnown
}
