package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What comes with a revision (its checks, its stages, its limits) is no part of it,
// and may change while it stays the same. Whatever state the revision is in, such a
// change is taken, and people are told what came of it:
//
//   - it is tried: the rollout goes on by the new plan; see replan.
//   - it was rejected by something that is different now: it is tried again; see outdated.
//   - it is served: changed checks are asked; see Survey.

// facets are what of a plan a revision can be rejected by. A rejection remembers the
// ones that it was by: a plan that lacks one of them asks something else.
func (p Plan) facets() map[string]bool {
	out := map[string]bool{p.limitsFacet(): true, p.answersFacet(): true, p.lossFacet(): true, p.troubleFacet(): true}
	for _, key := range p.Checks {
		out[checkFacet(key)] = true
	}
	for _, limit := range p.Evidence {
		out[limit.facet()] = true
	}
	for _, st := range p.Stages {
		out[st.deadlineFacet()], out[st.matchFacet()] = true, true
	}
	return out
}

func checkFacet(key string) string { return "check " + key }

func (p Plan) limitsFacet() string {
	return fmt.Sprintf("limits errors=%v min_requests=%d", p.Limits.Errors, p.Limits.MinRequests)
}

func (p Plan) answersFacet() string {
	return fmt.Sprintf("limits answers=%v latency=%v length=%v min_requests=%d", p.Limits.Answers, p.Limits.Latency, p.Limits.Length, p.Limits.MinRequests)
}

func (p Plan) lossFacet() string { return fmt.Sprintf("limits disconnects=%d", p.Limits.Disconnects) }

func (st Stage) deadlineFacet() string {
	return fmt.Sprintf("deadline of stage %s: %s", st.Name, st.Deadline)
}

func (st Stage) matchFacet() string {
	return fmt.Sprintf("match of stage %s: %s", st.Name, st.criteria())
}

func (p Plan) troubleFacet() string { return fmt.Sprintf("limits troubled=%v", p.Limits.Troubled) }

// checkFacets are those of some checks, or of all where it can't be told which.
func (p Plan) checkFacets(keys []string) []string {
	if len(keys) == 0 {
		keys = p.Checks
	}
	var out []string
	for _, key := range keys {
		out = append(out, checkFacet(key))
	}
	return out
}

// lateFacets are what a proxy was late by. Where it was to answer the checks, others
// may be answered.
func (s *step) lateFacets(phase Phase) []string {
	plan := s.Rollout.Plan
	out := []string{s.Rollout.stage().deadlineFacet()}
	if phase == Proving || phase == Confirming {
		out = append(out, plan.checkFacets(nil)...)
	}
	return out
}

// outdated says why a rejection does not hold for a plan, or no more, "" where it does.
func (s *step) outdated(r Rejection, p Plan) string {
	if gone := r.gone(p); gone != "" {
		return "what it was rejected by is another now: " + gone
	}
	if r.Empty != nil {
		for _, node := range slices.Sorted(maps.Keys(s.proxies)) {
			if s.fills(r, node) {
				return fmt.Sprintf("%s is connected, which can be of stage %q", node, r.Empty.Name)
			}
		}
	}
	return ""
}

// fills is whether a proxy can be of the stage that was empty.
func (s *step) fills(r Rejection, node string) bool {
	p := s.proxies[node]
	return r.Empty != nil && p != nil && r.Empty.matches(p.attributes) && !s.refusing[node]
}

// fill has what is on disk tried again, if it was rejected for want of a proxy like
// the one that has come.
func (s *step) fill(node string) {
	if i := s.rejection(s.onDisk); s.Rollout == nil && i >= 0 && s.fills(s.Rejected[i], node) {
		s.do(Offer{})
	}
}

// gone names what a revision was rejected by and a plan does not have any more.
func (r Rejection) gone(p Plan) string {
	has := p.facets()
	var gone []string
	for _, facet := range r.By {
		if kind, _, _ := strings.Cut(facet, " "); !has[facet] && !slices.Contains(gone, kind) {
			gone = append(gone, kind)
		}
	}
	return strings.Join(gone, ", ")
}

// staged is the plan by which a revision is rolled out. The first of a fleet has
// nothing beside it that could go on serving: it goes to all at once, each proxy
// proving it for itself. Not so if proxies of other fleets wait for it: they run
// something, and it goes in stages.
func (s *step) staged(plan Plan, staged bool) Plan {
	if s.Serving.ID == "" && !staged {
		plan.Stages = []Stage{{Name: "first", Percent: 100, Deadline: plan.Stages[len(plan.Stages)-1].Deadline}}
	}
	return plan
}

// unchanged says that what was saved is what there is already.
func (s *step) unchanged(r Revision, is string) {
	s.do(Tell{Entry{At: s.now, Kind: Unchanged, Revision: r, Reason: "what is on disk is the revision that is " + is + ": nothing changes"}})
}

// replan goes on with a rollout by what now comes with its revision. Proxies whose
// real listeners have it keep it. What they have shown by other checks they show
// again by these.
func (s *step) replan(e Offered) {
	r := s.Rollout
	if len(e.Changed) == 0 {
		s.unchanged(r.Candidate, map[bool]string{true: "served", false: "tried"}[r.Move])
		return
	}
	if r.Move && slices.Contains(e.Changed, "checks") && e.Plan.LiveChecks {
		s.Survey = &Survey{Since: s.now} // of the proxies that serve it, after the others
	}
	before := r.Plan
	r.Plan = s.staged(e.Plan, r.Staged)
	s.moveStage(before)
	delete(r.told, Awaiting)
	delete(r.told, Baking)
	s.record(Entry{
		Kind: Replanned, Revision: r.Candidate, Stage: r.stage().Name,
		Reason: fmt.Sprintf("on disk only %s changed: it goes on by that, in stage %d of %d", strings.Join(e.Changed, ", "), r.Stage+1, len(r.Plan.Stages)),
	})
	s.proveAnew(before, e.Changed)
	s.recruit()
	s.sayEmpty()
	s.do(Retarget{})
	s.do(Store{})
}

// moveStage finds the stage of the new plan in which the rollout is: the one of the
// same name, else the first that is as large as what there are members.
func (s *step) moveStage(before Plan) {
	r := s.Rollout
	was := r.Stage
	name := before.Stages[was].Name
	r.Stage = slices.IndexFunc(r.Plan.Stages, func(st Stage) bool { return st.Name == name })
	if r.Stage < 0 {
		r.Stage = slices.IndexFunc(r.Plan.Stages, func(st Stage) bool { return s.sizeOf(st) >= len(r.Members) })
	}
	if r.Stage < 0 {
		r.Stage = len(r.Plan.Stages) - 1
	}
	for node, at := range r.Members {
		if at == was {
			r.Members[node] = r.Stage
		} else {
			r.Members[node] = min(at, max(0, r.Stage-1))
		}
	}
	r.pool, r.emptyAt, r.vacantAt = nil, time.Time{}, time.Time{}
}

// sizeOf is how many of the connected proxies make a stage.
func (s *step) sizeOf(st Stage) int {
	matching := 0
	for _, p := range s.proxies {
		if st.matches(p.attributes) {
			matching++
		}
	}
	return st.size(matching)
}

// proveAnew has members show again what they have shown by other checks, or in a
// shadow listener that is another now.
func (s *step) proveAnew(before Plan, changed []string) {
	r := s.Rollout
	checks, shadow := slices.Contains(changed, "checks"), slices.Contains(changed, "shadow") || before.Shadow != r.Plan.Shadow
	for _, node := range slices.Sorted(maps.Keys(r.Members)) {
		p := s.proxies[node]
		switch {
		case p == nil:
		case shadow && (p.phase == Warming || p.phase == Proving || p.phase == Proven):
			s.warm(node)
		case checks && (p.phase == Proving || p.phase == Proven && r.Plan.Shadow):
			s.enter(node, Proving)
			s.waive(node)
		case checks && (p.phase == Confirming || p.phase == Confirmed || p.phase == AwaitingService):
			s.enter(node, Confirming)
			s.waive(node)
		}
	}
}

// takeServed takes what now comes with the revision that is served.
func (s *step) takeServed(e Offered) {
	s.rewatch(e.Plan, slices.Contains(e.Changed, "checks"))
	if len(e.Changed) == 0 {
		s.unchanged(s.Serving, "served")
		return
	}
	reason := fmt.Sprintf("on disk only %s changed: the revision is served on as it is", strings.Join(e.Changed, ", "))
	if slices.Contains(e.Changed, "shadow") {
		reason += "; the shadow listeners are as it says from now on, and so are later rollouts"
	}
	asks := slices.Contains(e.Changed, "checks") && e.Plan.LiveChecks
	if asks {
		reason += "; the checks are asked of every proxy, and nothing is taken back by them"
	}
	s.record(Entry{Kind: Replanned, Revision: s.Serving, Reason: reason})
	if asks {
		s.Survey = &Survey{Since: s.now}
	}
	s.do(Retarget{})
	s.do(Store{})
}
