package rollout

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"
)

// A service may fail while a stage bakes, and then does so for all. So some proxies that have
// the revision before are asked its checks through their real listeners for as long as others
// have the candidate: they are witnesses. A check that both revisions have, and that fails in
// the same way with a witness, is no evidence against the candidate: it is waited for, as it
// is with a first revision. One that holds there is.

const (
	witnessesMost = 3
	// testimony is how old what a witness says may be.
	testimony = comparing
	// hearingAfter is how long after a failure a witness must say that its checks hold, for it
	// to have asked them after it: they are asked ten times a second, and wait a second for an answer.
	hearingAfter        = 500 * time.Millisecond
	hearingAfterTimeout = 1500 * time.Millisecond
)

// A witness is what a proxy with the revision before has answered.
type witness struct {
	held   time.Time // when its checks held last
	failed time.Time // when they did not
	wrong  []CheckAnswer
}

// witness is whether a proxy is one, and can be.
func (f *Fleet) witness(node string) bool {
	r := f.Rollout
	return r != nil && r.witnesses[node] != nil && f.couldWitness(node)
}

func (f *Fleet) couldWitness(node string) bool {
	p := f.proxies[node]
	return p != nil && p.health && p.unasked == "" && p.trouble == nil && p.base == "" && p.phase == Idle &&
		!f.Rollout.Flipped[node] && !f.refusing[node] && p.accepted.Live == f.Serving.ID && p.accepted.Shadow == ""
}

// appoint finds witnesses, once there is something to compare with.
func (s *step) appoint() {
	r := s.Rollout
	if r.Move || s.Serving.ID == "" || !r.Plan.LiveChecks || len(r.Flipped) == 0 {
		return
	}
	for node := range r.witnesses {
		if !s.couldWitness(node) {
			delete(r.witnesses, node)
		}
	}
	if len(r.witnesses) >= witnessesMost || s.now.Before(r.appointAt) {
		return
	}
	r.appointAt = s.now.Add(time.Second) // to look at ten thousand takes a while
	var could []string
	for node := range s.proxies {
		if r.witnesses[node] == nil && s.couldWitness(node) {
			could = append(could, node)
		}
	}
	slices.SortFunc(could, func(a, b string) int {
		return cmp.Or(-cmp.Compare(s.rank(a), s.rank(b)), cmp.Compare(a, b))
	})
	for _, node := range could[:min(len(could), witnessesMost-len(r.witnesses))] {
		if r.witnesses == nil {
			r.witnesses = map[string]*witness{}
		}
		r.witnesses[node] = &witness{}
		s.do(Assign{node})
	}
}

// testified takes what a witness is answered, and reports whether it was one.
func (s *step) testified(e Probed) bool {
	r := s.Rollout
	if r == nil || e.Probe != ProbeLive || e.Of != s.Serving.ID || !s.witness(e.Node) {
		return false
	}
	w := r.witnesses[e.Node]
	if s.Watch != nil {
		e = s.withoutExcused(e, s.Watch.Excused)
	}
	if e.Passed {
		w.held, w.wrong = s.now, nil
		return true
	}
	w.failed, w.wrong = s.now, e.Wrong
	s.askAnew(e.Node)
	return true
}

// waitsForWitnesses is whether checks that fail with the candidate are no evidence for what
// witnesses say: they fail in the same way with one, which is waited for with it, or one is yet
// to say.
func (s *step) waitsForWitnesses(e Probed) bool {
	p, r := s.proxies[e.Node], s.Rollout
	if len(r.witnesses) == 0 || len(e.Wrong) == 0 || slices.ContainsFunc(e.Wrong, func(a CheckAnswer) bool { return !a.Passes || !a.Old || a.Same == "" }) {
		return false
	}
	if p.wrongAt.IsZero() {
		p.wrongAt = s.now
	}
	agrees, open := s.hearWitnesses(e.Wrong, p.wrongAt)
	switch {
	case agrees != "":
		s.waitsWithWitness(e, agrees)
		return true
	case !open, p.flaky(), s.now.Sub(p.wrongAt) >= comparing:
		return false
	}
	s.unconfirm(e.Node)
	return true
}

// hearWitnesses hears them on checks that fail since a moment: which one they fail with in the
// same way, "" for none, and whether one is yet to say that they hold.
func (s *step) hearWitnesses(wrong []CheckAnswer, since time.Time) (agrees string, open bool) {
	for _, node := range slices.Sorted(maps.Keys(s.Rollout.witnesses)) {
		w := s.Rollout.witnesses[node]
		switch {
		case !s.couldWitness(node):
		case w.agrees(wrong, s.now):
			return node, true
		case w.held.Before(since.Add(after(wrong))):
			open = true
		}
	}
	return "", open
}

// agrees is whether all that fails does so with the witness.
func (w *witness) agrees(wrong []CheckAnswer, now time.Time) bool {
	if now.Sub(w.failed) > testimony {
		return false
	}
	for _, a := range wrong {
		if !slices.ContainsFunc(w.wrong, func(b CheckAnswer) bool { return a.Same == b.Same && sameFailure(a, b) }) {
			return false
		}
	}
	return true
}

// sameFailure is whether two wrong answers may be of one cause: the same, or both such as a
// service gives that fails, or its proxy for it. One of which nobody knows how it failed, and that
// is over, may be one of these.
func sameFailure(a, b CheckAnswer) bool {
	fails := func(a CheckAnswer) bool {
		return a.Again || absent(a.Status) || a.Status >= http.StatusInternalServerError
	}
	return a.Status == b.Status || fails(a) && fails(b)
}

func after(wrong []CheckAnswer) time.Duration {
	if slices.ContainsFunc(wrong, func(a CheckAnswer) bool { return a.Status == 0 }) {
		return hearingAfterTimeout
	}
	return hearingAfter
}

// waitsWithWitness waits for the service of a proxy, which fails for all.
func (s *step) waitsWithWitness(e Probed, witness string) {
	if p := s.proxies[e.Node]; p.phase != AwaitingService {
		p.denied = false
		s.enter(e.Node, AwaitingService)
		s.once(ServiceAwaited, e.Node, "no evidence against it: it fails in the same way on "+witness+", which has the revision before: "+e.Failed)
	}
	s.askAnew(e.Node)
}
