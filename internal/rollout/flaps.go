package rollout

import (
	"fmt"
	"time"
)

// What is around a revision, the service above all, may fail now and then, for all proxies alike.
// No such failure is evidence, and with each the bake begins anew: so the stage could go on for
// ever. It has an end: from the first failure in it, when there was another, a stage has the
// time of its deadline and of its bake. Then the revision is given up for its surroundings, and
// tried again by itself, as one is whose service fails: a bake that has never come to its end shows
// too little to have others take it. A service that is simply down, and comes back, is
// no such case: it is waited for, since nothing is better off on the revision before.
//
// What proxies have nothing to go back from stays, whatever happens: a first revision waits for
// as long as it takes.

// flaps are the failures in a stage for which its bake had to begin anew.
type flaps struct {
	since time.Time      // the first
	of    map[string]int // by proxy, since one outage interrupts each that it meets
	count int            // the most of one proxy
	node  string         // of the last
	last  string         // what failed
}

// flapped notes that a check failed for what is around it, with a proxy that had confirmed the candidate.
func (s *step) flapped(e Probed) {
	r, p := s.Rollout, s.proxies[e.Node]
	if s.Serving.ID == "" && p.base == "" {
		return
	}
	f := &r.flaps
	if f.of == nil {
		f.of, f.since = map[string]int{}, s.now
	}
	f.of[e.Node]++
	f.count = max(f.count, f.of[e.Node])
	f.node, f.last = e.Node, e.Failed
}

// flapsUntil is when a stage ends that fails now and then; zero for none.
func (r *Rollout) flapsUntil() time.Time {
	stage := r.stage()
	if r.flaps.count < 2 || stage.Deadline == 0 {
		return time.Time{}
	}
	return r.flaps.since.Add(stage.Deadline + stage.Bake)
}

// flapsTooLong gives a candidate up whose stage has failed now and then for too long.
func (s *step) flapsTooLong() bool {
	r := s.Rollout
	until := r.flapsUntil()
	if until.IsZero() || s.now.Before(until) {
		return false
	}
	f, stage := r.flaps, r.stage()
	s.reject(Rejected, f.node, fmt.Sprintf("a check has failed now and then for %s, %d times on one proxy, by no fault of the revision: stage %q could not bake for %s without that; the last: %s",
		seconds(s.now.Sub(f.since)), f.count, stage.Name, stage.Bake, f.last), "", stage.deadlineFacet())
	s.blameSurroundings(r)
	return true
}

// flapText says of a stage that it has failed now and then, and sets its end, if that is sooner.
func (h *HoldUp) flapText(r *Rollout) string {
	until := r.flapsUntil()
	if until.IsZero() {
		return ""
	}
	if h.Until.IsZero() || until.Before(h.Until) {
		h.Until, h.Then = until, "the revision is rejected until it is tried again by itself"
	}
	return fmt.Sprintf(" (its checks fail now and then, %d times on one proxy so far, by no fault of the revision)", r.flaps.count)
}
