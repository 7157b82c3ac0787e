package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A revision that is served goes on being watched: a module may break at the first
// request of a kind that no check asks, hours after the last stage. For the plan's
// Watch evidence takes the revision back, as it would have in a stage; after that it
// is said, and a person decides.
//
// The evidence is that of a stage: counters, judged by the time before the revision
// and by proxies that do not have it, and the checks, which are asked for as long as
// evidence would take it back. It is noted with the proxy that gave it, until that
// proxy shows that it is over: the fleet is degraded for as long as one has any.

// A Watch is over what the fleet serves.
type Watch struct {
	Plan  Plan      `json:"plan"` // without its stages
	Since time.Time `json:"since"`
	// Until is for how long evidence takes the revision back; zero: it does not.
	Until time.Time `json:"until,omitzero"`
	// Before is what the fleet answered before it had the revision, for proxies of
	// which nothing of their own is known: after a restart, say.
	Before Answers `json:"before,omitzero"`
	// Right says that a request was answered rightly since: other than by 5xx, or as a
	// check wants it.
	Right bool `json:"right,omitempty"`
	// OtherChecks says that its checks have changed since it was proven by those it came
	// with. They take nothing back: see Survey.
	OtherChecks bool `json:"other_checks,omitempty"`
	// Stays says that evidence would have taken it back, and there is none to go back to.
	Stays bool `json:"stays,omitempty"`
	// Excused are failing answers that were no evidence while the revision was tried: they are
	// none now either.
	Excused  []Excuse  `json:"excused,omitempty"`
	Degraded *Degraded `json:"degraded,omitempty"` // nil: there is no evidence against it
}

// Answers are requests, and how many of them were answered 5xx, and by a filter.
type Answers struct {
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	Filtered uint64 `json:"filtered"`
}

// Degraded is evidence against what the fleet serves, that of the first proxy that
// has any.
type Degraded struct {
	Since    time.Time `json:"since"`
	Evidence Evidence  `json:"evidence"`
	Node     string    `json:"node"`
	Reason   string    `json:"reason"`
}

// Evidence is a kind of it.
type Evidence string

// The kinds of evidence against a revision that is served.
const (
	CrashedVMs    Evidence = "crashed VMs"    // or requests that a filter, and not the service, answers 5xx
	FailingChecks Evidence = "failing checks" // with an answer that is the filters'
	OtherAnswers  Evidence = "other answers"  // than before, of a class other than 5xx; of what is tried only
	GrownStats    Evidence = "a statistic"    // of Plan.Evidence, that is larger than before
	Errors        Evidence = "errors"         // 5xx that may be the service's, and what may become one of the others
)

// What is done about evidence.
const (
	OnEvidenceUndo   = "undo"   // take the revision back, whatever it is
	OnEvidenceReport = "report" // say so
)

// symptom is what a proxy has to say against what the fleet serves.
type symptom struct {
	evidence Evidence
	reason   string
	source   *source
	good     int // reports of that in a row without it
}

// lasts is whether no request tells that it is over: under FAIL_OPEN all are answered
// rightly once the VM has crashed, and pass unfiltered. Only a new process is over it.
func (y *symptom) lasts(plan Plan) bool {
	return plan.FailOpen && y.evidence == CrashedVMs && y.source.byRequests
}

// recovery is how many reports in a row must be good for a proxy's evidence to be over.
const recovery = 5

// lostSight is for how long evidence stays whose proxy is not connected.
const lostSight = time.Minute

// takesBack is whether evidence of a kind takes the revision back. By default the
// share of errors does not: the service's own are among them.
func (w *Watch) takesBack(e Evidence, now time.Time) bool {
	if !now.Before(w.Until) || w.Plan.OnEvidence == OnEvidenceReport {
		return false
	}
	return w.Plan.OnEvidence == OnEvidenceUndo || e == CrashedVMs || e == FailingChecks
}

// asks is whether the checks are asked of a proxy that serves the revision: while they
// may take it back, and of one on which they fail for as long as they do.
func (f *Fleet) asks(p *proxy) bool {
	w := f.Watch
	return w != nil && (p.trouble == nil || !p.trouble.clock) && w.Plan.LiveChecks && !w.OtherChecks && p.accepted.Live == f.Serving.ID &&
		(f.now.Before(w.Until) || p.symptom != nil && p.symptom.source == checks)
}

// watch begins the watch over the revision that is served now.
func (s *step) watch(plan Plan) {
	plan.Stages = nil
	w := &Watch{Plan: plan, Since: s.now, Before: s.answersBefore(), Excused: s.Rollout.Excused}
	if plan.Watch > 0 {
		w.Until = s.now.Add(plan.Watch)
	}
	for _, p := range s.proxies {
		w.Right = w.Right || p.traffic.right || plan.LiveChecks && p.health && !p.lastGood.IsZero()
	}
	s.Watch = w
	s.acquit()
}

// acquit forgets what proxies had against another revision.
func (s *step) acquit() {
	s.symptoms = nil
	for _, p := range s.proxies {
		p.symptom, p.failures = nil, 0
	}
}

// answersBefore is what the proxies answered before they had the revision.
func (s *step) answersBefore() Answers {
	var sum Answers
	for _, p := range s.proxies {
		b := p.traffic.before.last(len(p.traffic.before.windows))
		sum.Requests += b.requests
		sum.Errors += b.errors
		sum.Filtered += b.filtered
	}
	return sum
}

// rewatch takes over how what is served is to be watched, where the file says it anew.
func (s *step) rewatch(plan Plan, checks bool) {
	if s.Watch == nil { // an older server saved none
		s.Watch = &Watch{Since: s.now, Right: true}
	}
	w := s.Watch
	plan.Stages = nil
	if w.Plan.equal(plan) {
		return
	}
	ended := w.Until.IsZero()
	if w.Plan.Watch != plan.Watch && !ended {
		w.Until = w.Since.Add(plan.Watch)
	}
	w.Plan, w.OtherChecks = plan, w.OtherChecks || checks
	s.do(Store{})
}

// equal compares two plans without their stages.
func (p Plan) equal(other Plan) bool {
	return p.Prove == other.Prove && p.Limits == other.Limits && p.Watch == other.Watch && p.OnEvidence == other.OnEvidence &&
		p.Shadow == other.Shadow && p.ShadowChecks == other.ShadowChecks && p.LiveChecks == other.LiveChecks && p.FailOpen == other.FailOpen &&
		slices.Equal(p.Checks, other.Checks) && slices.Equal(p.Evidence, other.Evidence)
}

// watched takes the counters of a proxy that serves what is watched. While it has
// a candidate in its shadow, a crash may be that one's.
func (s *step) watched(node string, p *proxy, c Counters) {
	if s.Watch == nil || p.runs() != s.Serving.ID || p.part == "" && p.accepted.Shadow != "" {
		return
	}
	switch against := s.against(node, c, s.Watch.Plan); {
	case against.reason != "":
		s.suspect(node, against)
	case p.symptom != nil && !p.symptom.lasts(s.Watch.Plan) && p.symptom.source.shows(c):
		s.wellAgain(node)
	}
}

// suspect notes evidence against what is served, and acts on it.
func (s *step) suspect(node string, c charge) {
	p, w := s.proxies[node], s.Watch
	evidence, reason := c.evidence, c.reason
	p.symptom = &symptom{evidence: evidence, reason: reason, source: c.from}
	s.symptoms = marked(s.symptoms, node, true)
	if d := w.Degraded; d == nil || d.Evidence == Errors && evidence != Errors {
		w.Degraded = &Degraded{Since: s.now, Evidence: evidence, Node: node, Reason: reason}
		s.record(Entry{Kind: DegradedNow, Revision: s.Serving, Node: node, Reason: string(evidence) + ": " + reason})
		s.do(Store{})
	}
	if !c.open && w.takesBack(evidence, s.now) && (s.Rollout == nil || s.Rollout.Move) {
		s.takeBack(node, c)
	}
}

// wellAgain counts a good report of a proxy that has evidence. With enough of them it
// has none.
func (s *step) wellAgain(node string) {
	p := s.proxies[node]
	if p.symptom == nil {
		return
	}
	if p.symptom.good++; p.symptom.good < recovery {
		return
	}
	if p.symptom = nil; !s.asks(p) {
		s.do(Assign{node}) // its checks are asked no more
	}
	s.symptoms = marked(s.symptoms, node, false)
	s.recovered()
}

// recovered says so when no proxy has evidence any more.
func (s *step) recovered() {
	w := s.Watch
	if w == nil || w.Degraded == nil {
		return
	}
	if len(s.symptoms) > 0 {
		if node := slices.Sorted(maps.Keys(s.symptoms))[0]; !s.symptoms[w.Degraded.Node] {
			p := s.proxies[node]
			w.Degraded = &Degraded{Since: w.Degraded.Since, Evidence: p.symptom.evidence, Node: node, Reason: p.symptom.reason}
			s.do(Store{})
		}
		return
	}
	if s.proxies[w.Degraded.Node] == nil && s.now.Sub(w.Degraded.Since) < lostSight {
		return // it may come back as it was
	}
	after := s.now.Sub(w.Degraded.Since).Round(time.Second)
	reason := fmt.Sprintf("after %s: nothing speaks against it any more%s", after, s.stillFails(w.Degraded.Node))
	s.record(Entry{Kind: Recovered, Revision: s.Serving, Node: w.Degraded.Node, Reason: reason})
	w.Degraded = nil
	s.do(Store{})
}

// stillFails says what a proxy goes on answering 5xx, which does not speak against the revision
// where others do so too: users meet it all the same.
func (s *step) stillFails(node string) string {
	p, limits := s.proxies[node], s.Watch.Plan.Limits
	if p == nil || s.Watch.Degraded.Evidence != Errors {
		return ""
	}
	now := p.traffic.after.last(recovery)
	if now.errorShare(limits.MinRequests) <= limits.Errors {
		return ""
	}
	return fmt.Sprintf(", but %.1f%% of its last %d requests were answered 5xx: others fail alike, or it did so before", 100*now.errorShare(1), now.requests)
}

// watchOn is what a tick is for while a fleet is watched: the end of the watch, when
// the checks are asked no more, and evidence of a proxy that is gone.
func (s *step) watchOn() {
	w := s.Watch
	if w == nil {
		return
	}
	if !w.Until.IsZero() && !s.now.Before(w.Until) {
		w.Until = time.Time{}
		s.record(Entry{Kind: WatchEnded, Revision: s.Serving, Reason: "evidence against it is said from now on, and does not take it back"})
		s.do(Retarget{})
		s.do(Store{})
	}
	s.recovered()
}
