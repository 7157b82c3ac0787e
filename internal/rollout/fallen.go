package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A revision can end the process that is given it. The proxy is gone a moment later then, without refusing
// anything. But hosts go away for other reasons, too. So a member that has fallen, which is that it is lost
// soon after it was given something of the candidate, is waited for as any other is, and:
//
//   - if it comes back with nothing, its process has ended: that is evidence (see lost);
//   - if it does not come back, and no other member is left in its stage, no other proxy is taken in its
//     place, as that might fall, too: the stage waits until its deadline, and then the revision is rejected;
//   - if it does not come back, and others of the stage have the candidate and live, the stage goes on
//     without it, as it may go on without proxies that have trouble of their own: up to the same limit.
//     Past that the revision is rejected.

// soon is how long after it was given the candidate the loss of a proxy may be by that. An Envoy that a
// configuration ends is gone within milliseconds, one that requests end as soon as there are some.
const soon = 10 * time.Second

// fell notes that a proxy leaves. A member that was given something of the candidate just before has fallen.
func (s *step) fell(node string) {
	r, p := s.Rollout, s.proxies[node]
	if !s.newly(p) {
		s.turnover.leaves(node, s.remembers())
	}
	if r == nil || p.given.IsZero() {
		return
	}
	if _, member := r.Members[node]; !member {
		return
	}
	if !s.newly(p) {
		r.outlived += soon.Seconds()
		return
	}
	if r.Fallen == nil {
		r.Fallen = map[string]Fall{}
	}
	r.Fallen[node] = Fall{At: s.now, After: s.now.Sub(p.given)}
	s.do(Store{})
}

// A Fall is the loss of a proxy soon after it was given a candidate.
type Fall struct {
	At    time.Time     `json:"at"`
	After time.Duration `json:"after"`          // it was given the candidate
	Told  bool          `json:"told,omitempty"` // it is in the history that it has not come back
}

// rises notes that a proxy is there again, and returns how long it had the candidate when it fell; 0 if it
// had not fallen.
func (s *step) rises(node string) time.Duration {
	fall, fell := s.Rollout.Fallen[node]
	if !fell {
		return 0
	}
	delete(s.Rollout.Fallen, node)
	return max(fall.After, 1)
}

// returns notes that a proxy has connected while a candidate is tried. One that comes without a configuration
// is a new process.
func (s *step) returns(e Joined) {
	r, after := s.Rollout, s.rises(e.Node)
	if !e.Fresh {
		return
	}
	delete(r.Warmed, e.Node)
	delete(r.Took, e.Node)
	switch {
	case r.Flipped[e.Node]:
		s.lost(e.Node, "it came back without what it had")
	case after > 0:
		s.lost(e.Node, fmt.Sprintf("it came back without what it had, lost %s after it was given it in its shadow listener", after.Round(time.Millisecond)))
	}
}

// losses are the members that have fallen, sorted by name: those that may still come back, as that was less than
// vacancy ago, and those that are gone. Where they are many, what it returns may be tickEvery old.
func (r *Rollout) losses(now time.Time) (recent, gone []string) {
	if len(r.Fallen) > manyFallen && now.Before(r.sorted.next) {
		return r.sorted.recent, r.sorted.gone
	}
	for _, node := range slices.Sorted(maps.Keys(r.Fallen)) {
		if now.Sub(r.Fallen[node].At) < vacancy {
			recent = append(recent, node)
		} else {
			gone = append(gone, node)
		}
	}
	r.sorted.recent, r.sorted.gone, r.sorted.next = recent, gone, now.Add(tickEvery)
	return recent, gone
}

// manyFallen is how many are remembered by name of those that the stage goes on without, so that what is stored stays
// small. More are only counted.
const manyFallen = 100

// lossesSorted are the losses as they were when they were last looked at.
type lossesSorted struct {
	recent, gone []string
	next         time.Time // they are looked at again
}

// forgetFallen forgets losses that are in the history, where they are too many to be remembered, and counts them.
func (s *step) forgetFallen(gone []string) {
	r := s.Rollout
	if len(gone) <= manyFallen {
		return
	}
	for _, node := range gone {
		if fall, is := r.Fallen[node]; is && fall.Told {
			delete(r.Fallen, node)
			r.Forgotten++
			r.outlived += fall.After.Seconds()
		}
	}
	r.sorted = lossesSorted{} // else they would be counted twice
}

// mayFall is how many a stage may go on without that has lost so many: the share of limits.troubled of all that it
// had, or as many as would have left anyway.
func (r *Rollout) mayFall(lost int) int {
	return max(r.natural, MayBeTroubled(r.Plan.Limits.Troubled, r.members+lost))
}

// awaitsFallen is whether the stage does not end yet, as some that have fallen may still come back. It does not wait
// for few among many, as it does not for comers, nor for as many as would have left anyway.
func (r *Rollout) awaitsFallen(now time.Time) bool {
	recent, _ := r.losses(now)
	return len(recent) > 0 && !r.few(len(recent)) && len(r.Fallen)+r.Forgotten > r.natural
}

// countFallen rejects a candidate after whose coming more members are gone than the stage may go on without. Of
// fewer it says in the history that the stage goes on without them.
func (s *step) countFallen() {
	r := s.Rollout
	if len(r.Fallen) == 0 || r.members == 0 {
		return
	}
	s.countNatural()
	gone, lost := r.gone(s.now)
	if lost > r.mayFall(lost) { // as they were a moment ago; some may be back by now
		r.sorted = lossesSorted{}
		gone, lost = r.gone(s.now)
	}
	if limit := r.mayFall(lost); lost > limit && len(gone) > 0 {
		last := gone[len(gone)-1]
		s.accuse(last, charge{facets: []string{r.Plan.troubleFacet()}, reason: fmt.Sprintf(
			"%s, lost soon after it was given there, did not come back; limits.troubled lets a stage go without %s; of the last: %s",
			proxies(lost), proxies(limit), r.Fallen[last].text())})
		return
	}
	s.goesOnWithout(gone)
	s.forgetFallen(gone)
}

// gone are the members that have fallen and not come back, and how many they are with those that are only counted.
func (r *Rollout) gone(now time.Time) (gone []string, lost int) {
	_, gone = r.losses(now)
	return gone, len(gone) + r.Forgotten
}

// goesOnWithout says of members, once of each, that the stage goes on without them.
func (s *step) goesOnWithout(gone []string) {
	r := s.Rollout
	for _, node := range gone {
		if fall, is := r.Fallen[node]; is && !fall.Told {
			fall.Told = true
			r.Fallen[node] = fall
			s.record(Entry{Kind: ProxyLost, Revision: r.Candidate, Stage: r.stage().Name, Node: node, Reason: fall.text() + ", and has not come back: the stage goes on without it"})
		}
	}
}

// text is what people read of it.
func (f Fall) text() string {
	return fmt.Sprintf("it was lost %s after it was given the revision", f.After.Round(time.Millisecond))
}

// firstFallen is the proxy that fell first, of a stage that has no member left; fell is whether one did. After a
// restart of the server it is not known when those went that had the candidate and are not there: they may have
// fallen, and count as that.
func (s *step) firstFallen() (node string, fall Fall, fell bool) {
	r := s.Rollout
	if r.members > 0 || len(s.proxies) == 0 {
		return "", Fall{}, false
	}
	for node := range r.Flipped {
		if _, known := r.Fallen[node]; !known && s.proxies[node] == nil && s.leftAs[node] == 0 {
			if r.Fallen == nil {
				r.Fallen = map[string]Fall{}
			}
			r.Fallen[node] = Fall{At: cmp.Or(r.vacantAt, s.now)}
		}
	}
	return r.firstFallen()
}

// firstFallen is the proxy that fell first; fell is whether one did.
func (r *Rollout) firstFallen() (node string, fall Fall, fell bool) {
	for _, n := range slices.Sorted(maps.Keys(r.Fallen)) {
		if f := r.Fallen[n]; !fell || f.At.Before(fall.At) {
			node, fall, fell = n, f, true
		}
	}
	return node, fall, fell
}

// holdsFor is whether a stage that has no member left waits for those that have fallen, and takes no other proxies
// meanwhile. Past the stage's deadline it rejects the candidate.
func (s *step) holdsFor() bool {
	node, fall, fell := s.firstFallen()
	if !fell {
		return false
	}
	if s.countNatural(); len(s.Rollout.Fallen) <= s.Rollout.natural {
		return false
	}
	if stage := s.Rollout.stage(); stage.Deadline > 0 && s.now.Sub(fall.At) > stage.Deadline {
		s.accuse(node, charge{facets: []string{stage.deadlineFacet()},
			reason: fmt.Sprintf("%s, and has not come back for %s: no other proxy is given what may end it, too", fall.text(), stage.Deadline)})
	}
	return true
}

// fallen describes what a stage waits for that holdsFor those that have fallen.
func (h *HoldUp) fallen(r *Rollout) (what, does string) {
	node, fall, _ := r.firstFallen()
	stage := r.stage()
	h.Kind, h.Since, h.Do = WaitAway, fall.At, doAbort
	if stage.Deadline > 0 {
		h.Until, h.Then = fall.At.Add(stage.Deadline), "the revision is rejected"
	}
	h.name(slices.Sorted(maps.Keys(r.Fallen)))
	return fmt.Sprintf("stage %q waits for %s to come back, and takes no other proxy before: of %s, %s", h.Stage, h.who(), node, fall.text()), "gives the revision up"
}

// confirmedBut describes what a stage waits for whose members have all confirmed the candidate, but for those that
// have fallen.
func (h *HoldUp) confirmedBut(r *Rollout, now time.Time) (what, does string) {
	recent, _ := r.losses(now)
	for _, node := range recent {
		if at := r.Fallen[node].At; h.Since.Before(at) {
			h.Since = at
		}
	}
	h.Kind, h.Do, h.Until, h.Then = WaitAway, doPromote, h.Since.Add(vacancy), "the stage goes on without, or the revision is rejected if there are too many"
	h.name(recent)
	return fmt.Sprintf("stage %q waits for %s to come back, lost soon after the revision was given there", h.Stage, h.who()), "ends the stage now"
}
