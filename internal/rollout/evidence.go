package rollout

// Evidence is what speaks against a revision. It has several sources, each with a file of its
// own, evidence_*.go, and all give it as a charge:
//
//   - the proxy's stream: it refuses the revision, or is lost with it;
//   - the checks that it asks itself;
//   - its counters, which the sources in counterSources judge.
//
// What is done about a charge does not depend on where it comes from: a candidate goes back
// (accuse); of what is served it is noted and, while it is watched, takes it back (suspect).

// A source is where evidence comes from, and where it must be seen to be over.
type source struct {
	name string
	// against is what a proxy's counters say against the revision that it was flipped to, for
	// sources that judge by counters.
	against func(s *step, node string, c Counters, plan Plan) charge
	// over is whether a report shows that it is over; nil where only requests do, or checks.
	over func(Counters) bool
	// byRequests says that it is over when requests are answered rightly.
	byRequests bool
}

// counterSources judge each report of a proxy's counters, in this order: the first that finds
// something has the word. A new one is a file and a line here.
var counterSources = []*source{missing, crashed, answeredByFilters, moreErrors, otherAnswers, unlikeAnswers, unended, grown}

// byLimits is the judgement of a source by the limits of the plan, of which facet is what it goes by.
func byLimits(kind Evidence, reason func(*step, string, Limits) string, facet func(Plan) string) func(*step, string, Counters, Plan) charge {
	return func(s *step, node string, _ Counters, plan Plan) charge {
		return charge{evidence: kind, reason: reason(s, node, plan.Limits), facets: []string{facet(plan)}}
	}
}

// shows is whether a report of counters shows that evidence of the source is over.
func (o *source) shows(c Counters) bool {
	return o.byRequests && c.Requests > c.Errors || o.over != nil && o.over(c)
}

// sourceOf is where evidence of a kind comes from, as far as a restarted server knows.
func sourceOf(e Evidence) *source {
	if e == FailingChecks {
		return checks
	}
	return answeredByFilters
}

// A charge is what speaks against a revision; the zero value: nothing.
type charge struct {
	from     *source
	evidence Evidence
	reason   string
	facets   []string // what of the plan it was by: see Plan.facets
	open     bool     // it is yet to be told whether it is one
}

// against is what a proxy's counters say against the revision that it was flipped to.
func (s *step) against(node string, c Counters, plan Plan) charge {
	for _, source := range counterSources {
		if found := source.against(s, node, c, plan); found.reason != "" {
			found.from = source
			return found
		}
	}
	return charge{}
}

// accuse acts on what speaks against the candidate: everyone goes back.
func (s *step) accuse(node string, c charge) {
	r, around := s.Rollout, c.from == moreErrors && (s.failedAnyway(node, s.Rollout.Plan.Limits) || s.asksForService(node))
	s.reject(Rejected, node, c.reason, "", c.facets...)
	if around {
		s.blameSurroundings(r)
	}
}
