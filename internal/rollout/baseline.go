package rollout

import (
	"fmt"
	"slices"
	"time"
)

// What users are answered by a candidate is held against what they were answered before (answers.go).
// Right after another rollout, after a restart, or when a fleet's first users come, that is not known
// for long enough. Then a stage that has others to compare with goes on: the time before is that of
// the revision before, and only what changed otherwise than on the others counts. One that has none
// waits for its flip until it is known what is served by, for a while.
//
// A proxy that has just been taken back from a rejected revision may go on failing: a connection that
// is open stays with the listener that it was opened to until that is drained. Before it is given
// another, some of what it answers then is known, which the next one is held against.

const (
	// baselineEnough is for how long it must be known, without the first seconds after a flip.
	baselineEnough = 5 * time.Second
	// baselinePatience is how long a stage waits for that, at most.
	baselinePatience = 10 * time.Second
	baselineEvery    = tickEvery // to look at ten thousand takes a while
)

// baseline is where a stage is with that.
type baseline struct {
	earlier string    // the revision that answers are compared with, where it is not what is served
	lacking []string  // proxies whose answers are not known yet
	back    bool      // they are such that were taken back
	since   time.Time // the stage waits for that since; zero: it does not
	next    time.Time // when it is looked at again
}

// short is whether so little is known that nothing is to be held against it.
func short(t tally) bool { return t.millis < uint32(baselineEnough.Milliseconds()) }

// lacks is whether it is yet to be known what users of a proxy are answered.
func (t *traffic) lacks(live string, enough uint32) bool {
	h, known := &t.habit, tally{}
	if h.of == live {
		known = h.lately()
	}
	if h.ownOf == live {
		known.plus(h.own)
	}
	few := known.answers < enough && known.millis < 3*uint32(baselineEnough.Milliseconds())
	return (t.asked || h.own.answers > 0) && (short(known) || few)
}

// lingers is whether too little is known of what a proxy answers since it was taken back.
func (t *traffic) lingers() bool {
	heard := t.before.next
	if t.flipped { // what is served is watched
		heard = t.after.next
	}
	return t.regained && t.asked && heard < heardAfter
}

// awaitsBaseline is whether a stage that has proven the candidate is not to flip yet.
func (s *step) awaitsBaseline() bool {
	r := s.Rollout
	judged := r.Plan.Limits.Answers != 0 && s.Meant != r.Candidate.ID
	if r.Move || s.Serving.ID == "" {
		r.baseline = baseline{}
		return false
	}
	if s.now.Before(r.baseline.next) {
		return true
	}
	enough := uint32(max(r.Plan.Limits.MinRequests, 1))
	r.baseline.earlier, r.baseline.lacking = "", s.lacking(func(p *proxy) bool { return p.traffic.lingers() })
	r.baseline.back = len(r.baseline.lacking) > 0
	if judged && !r.baseline.back {
		r.baseline.lacking = s.lacking(func(p *proxy) bool { return p.traffic.lacks(p.accepted.Live, enough) })
	}
	if len(r.baseline.lacking) > 0 && !r.baseline.back {
		r.baseline.earlier = s.comparable(enough)
	}
	if len(r.baseline.lacking) == 0 || r.baseline.earlier != "" {
		r.baseline.since = time.Time{}
		return false
	}
	if r.baseline.since.IsZero() {
		r.baseline.since = s.now
	}
	r.baseline.next = s.now.Add(baselineEvery)
	return s.now.Sub(r.baseline.since) < baselinePatience
}

// lacking are the proxies that are to flip and of which something is not known.
func (s *step) lacking(what func(*proxy) bool) (out []string) {
	for node := range s.Rollout.proven {
		if p := s.proxies[node]; p.base == "" && what(p) {
			out = append(out, node)
		}
	}
	slices.Sort(out)
	return out
}

// comparable is the earlier revision of which it is known what those that lack answered, and some
// others that go on with what is served; "" where there is none.
func (s *step) comparable(enough uint32) string {
	earlier := s.proxies[s.Rollout.baseline.lacking[0]].traffic.habit.ownOf
	for _, node := range s.Rollout.baseline.lacking {
		if h := &s.proxies[node].traffic.habit; h.ownOf != earlier || h.own.answers < enough {
			return ""
		}
	}
	known := uint32(0)
	for node, p := range s.proxies {
		_, member := s.Rollout.Members[node]
		if h := &p.traffic.habit; !member && p.base == "" && h.ownOf == earlier && p.accepted.Live == s.Serving.ID && h.sum().answers > 0 {
			known += h.own.answers
		}
	}
	if known < enough {
		return ""
	}
	return earlier
}

// awaitsBaseline is whether the stage waits for that.
func (r *Rollout) awaitsBaseline() bool {
	return !r.baseline.since.IsZero() && !r.Released && r.allProven()
}

func (h *HoldUp) baseline(r *Rollout) string {
	h.Kind, h.Since, h.Do = WaitBaseline, r.baseline.since, doAbort
	h.Until, h.Then = r.baseline.since.Add(baselinePatience), "it goes on without"
	h.name(r.baseline.lacking)
	if r.baseline.back {
		return fmt.Sprintf("stage %q has proven the revision, and waits until it is known what users of %s are answered since a rejected one was taken back there: open connections may stay with that for a while",
			h.Stage, h.who())
	}
	return fmt.Sprintf("stage %q has proven the revision, and waits until what users of %s are answered by what is served is known for %s, as outside the stage there are no other proxies to compare with that have answered enough",
		h.Stage, h.who(), baselineEnough)
}
