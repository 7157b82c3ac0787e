package rollout

import (
	"maps"
	"slices"
)

// takeBack undoes what is served, for evidence that a proxy has against it, as a stage would have. What was
// served is remembered as rejected, so that it is not given again.
//
// There may be no revision to go back to. What is served stays then if it has answered a request rightly:
// that is worth more to users than nothing. If it never has, it is rejected, and nothing is served.
func (s *step) takeBack(node string, c charge) {
	back, passed := s.before(c)
	if back.ID == "" && (s.Watch.Right || passed) {
		s.stays(node, c.reason, passed)
		return
	}
	if r := s.Rollout; r != nil {
		s.cancelMove("what it brings is taken back")
	}
	undone, reason := s.Serving, string(c.evidence)+": "+c.reason
	s.remember(Rejection{Revision: undone, Node: node, Reason: reason, At: s.now, Kind: TakenBack, By: c.facets})
	s.goBack(back)
	s.record(Entry{Kind: TakenBack, Revision: undone, Node: node, Reason: reason})
	s.do(Store{})
}

// before is the revision to go back to, of no ID for none: the newest before what is served that is not rejected,
// as one may have been since, when it was tried again, or when a person went back from it. Where VMs have crashed
// for good, revisions with all the same VMs are passed over: a proxy keeps a VM as long as anything has it, so
// they would run the crashed ones. passed is whether there were such.
func (s *step) before(c charge) (back Revision, passed bool) {
	for _, r := range s.Kept() { // the newest first
		switch {
		case r.Number >= s.Serving.Number || s.rejection(r.ID) >= 0:
		case c.forGood() && s.shares(r) == allVMs:
			passed = true
		default:
			return r, passed
		}
	}
	return Revision{}, passed
}

// forGood is whether the evidence is that a VM has crashed and is not loaded anew. (Under FAIL_RELOAD it would be;
// its crashes are counted then, which is other evidence.)
func (c charge) forGood() bool { return c.evidence == CrashedVMs && c.from == answeredByFilters }

// Sharing is how many of the Wasm VMs of a revision another one has, too.
type Sharing int

// None, some, or all that it has.
const (
	noVMs Sharing = iota
	someVMs
	allVMs
)

// SharingOf is what it is where so many are shared of all; a revision without VMs shares none.
func SharingOf(shared, all int) Sharing {
	switch {
	case shared == 0:
		return noVMs
	case shared < all:
		return someVMs
	}
	return allVMs
}

// SetSharedVMs sets the function that says how many of the VMs of a revision, by its ID, another one has, too.
func (f *Fleet) SetSharedVMs(shared func(of, other string) Sharing) { f.sharedVMs = shared }

// shares is how many of the VMs of what is served a revision has.
func (s *step) shares(r Revision) Sharing {
	if s.sharedVMs == nil {
		return noVMs
	}
	return s.sharedVMs(s.Serving.ID, r.ID)
}

// stays says in the history, once, that what is served stays, as there is nothing to go back to. passed is what
// before returns.
func (s *step) stays(node, reason string, passed bool) {
	if s.Watch.Stays {
		return
	}
	s.Watch.Stays = true
	none := "there is no revision before it to go back to: "
	if passed {
		none = "no revision before it has other Wasm VMs, and a proxy would keep those that have crashed: "
	}
	s.record(Entry{Kind: Stays, Revision: s.Serving, Node: node, Reason: none + reason})
	s.do(Store{})
}

// goBack serves a revision that was served before, or nothing where it has no ID. All proxies get it at once: it
// has passed its stages.
func (s *step) goBack(to Revision) {
	s.returned, s.returning = s.Serving, map[string]bool{}
	for node, p := range s.proxies {
		if p.base == "" && to.ID != "" {
			s.returning[node] = true
		}
	}
	if len(s.returning) == 0 {
		s.returning = nil
	}
	if to.ID == "" {
		s.closeFirst(s.Serving.ID)
	}
	good := append(slices.Clone(s.Kept()), s.Serving)
	plan := Plan{}
	if s.Watch != nil {
		plan = s.Watch.Plan
	}
	remain := s.crashed(to, plan)
	s.Serving = to
	s.keep(good)
	s.Watch = nil
	s.acquit()
	if to.ID != "" {
		s.Watch = &Watch{Plan: plan, Since: s.now, Right: true} // evidence against it is said, but it is not taken back
	}
	for _, p := range s.proxies {
		p.traffic.unflip()
	}
	s.remain(remain)
	s.do(Retarget{})
}

// crashed are the symptoms, by proxy, that last with another revision: requests pass unfiltered, as a VM has
// crashed there under FAIL_OPEN, and the other revision may have that VM too.
func (s *step) crashed(to Revision, plan Plan) map[string]*symptom {
	out := map[string]*symptom{}
	for node := range s.symptoms {
		if p := s.proxies[node]; p != nil && p.symptom != nil && p.symptom.lasts(plan) && s.shares(to) != noVMs {
			out[node] = p.symptom
		}
	}
	return out
}

// remain keeps these symptoms, and says in the history that what is served is degraded by them: no request can tell
// that they are over, only a new process is without them.
func (s *step) remain(symptoms map[string]*symptom) {
	for _, node := range slices.Sorted(maps.Keys(symptoms)) {
		p := s.proxies[node]
		p.symptom, s.symptoms = symptoms[node], marked(s.symptoms, node, true)
		if s.Watch.Degraded == nil {
			reason := "what it went back to has this Wasm VM, too, and only a new process is without it: " + p.symptom.reason
			s.Watch.Degraded = &Degraded{Since: s.now, Evidence: p.symptom.evidence, Node: node, Reason: reason}
			s.record(Entry{Kind: DegradedNow, Revision: s.Serving, Node: node, Reason: string(p.symptom.evidence) + ": " + reason})
		}
	}
}

// remember notes a rejection, and forgets the oldest beyond maxRejected.
func (s *step) remember(r Rejection) {
	s.Rejected = append(s.Rejected, r)
	if more := len(s.Rejected) - maxRejected; more > 0 {
		s.Rejected = slices.Clone(s.Rejected[more:])
	}
}
