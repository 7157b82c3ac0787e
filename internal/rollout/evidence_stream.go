package rollout

import "fmt"

// What a proxy says on its stream against a revision: it refuses it (a NACK), or is lost with it.

func (s *step) refused(e Refused) {
	r := s.Rollout
	if r != nil && (e.Live == r.Candidate.ID || e.Shadow == r.Candidate.ID) && s.takes(e.Node) {
		s.accuse(e.Node, charge{reason: "it refuses it: " + e.Reason})
		return
	}
	if p := s.proxies[e.Node]; p != nil && p.base != "" && e.Live == p.base && e.Shadow == "" {
		s.bar([]string{e.Node}, e.Node, "it refuses what it runs: "+e.Reason, "")
		return
	}
	// With a shadow beside it, it is a candidate's that was given up meanwhile.
	if e.Live != "" && e.Live == s.Serving.ID && e.Shadow == "" {
		s.record(Entry{Kind: ProxyRefusesGood, Revision: s.Serving, Node: e.Node, Reason: e.Reason})
		s.recount(e.Node, func() { s.refuse(e.Node) })
		if p := s.proxies[e.Node]; r != nil && p != nil && p.phase == Joining {
			s.discount(e.Node) // no stage waits for a proxy that does not run what is good
			p.phase = Idle
		}
	}
}

// refuse remembers that a proxy refuses what is good. It is not asked again before it
// comes back as another version, and what it refused may be in later revisions, too:
// no stage waits for it until it has accepted what is good then.
func (s *step) refuse(node string) {
	if s.refusing == nil {
		s.refusing = map[string]bool{}
	}
	s.refusing[node] = true
	s.forgetRefusals()
}

// lost counts a proxy that was lost with the candidate.
func (s *step) lost(node, how string) {
	r := s.Rollout
	r.Lost++
	if limit := max(r.Plan.Limits.Disconnects, len(r.Members)/10); r.Lost > limit {
		s.accuse(node, charge{reason: fmt.Sprintf("%d times a proxy was lost that had it (limit %d); the last: %s", r.Lost, limit, how), facets: []string{r.Plan.lossFacet()}})
	}
}
