package rollout

// A proxy whose clock is wrong accepts certificates that are not valid by it, and then
// handshakes fail: Envoy says nothing of that to the server. It is trouble of its own, which
// begins and ends with what its clock says and not with what it accepts: until then nothing
// that it answers is evidence, and no stage waits for it.

// clockWrong takes what certificate of a revision is not valid by a proxy's clock; no Reason: none.
func (s *step) clockWrong(e Clock) {
	p := s.proxies[e.Node]
	switch {
	case p == nil:
	case e.Reason == "":
		s.clockRight(e.Node)
	case p.trouble == nil:
		r := s.Rollout
		s.setTrouble(e.Node, &trouble{reason: e.Reason, phase: p.phase, since: s.now, clock: true, candidate: r != nil && e.Of == r.Candidate.ID})
		s.record(Entry{Kind: ProxyInTrouble, Revision: s.revisionOf(e.Of, ""), Node: e.Node, Reason: e.Reason})
		s.tooManyInTrouble(e.Node)
	case p.trouble.clock:
		p.trouble.reason = e.Reason
	}
}

// clockRight is the end of it. What it accepted meanwhile it goes on from.
func (s *step) clockRight(node string) {
	p := s.proxies[node]
	if p.trouble == nil || !p.trouble.clock {
		return
	}
	p.trouble.clock = false
	a := p.accepted
	if s.overTrouble(node); p.trouble != nil {
		s.setTrouble(node, nil) // it is to have something else by now, and was sent it
	}
	s.served(Served{Node: node, Live: a.Live, Shadow: a.Shadow, Unasked: p.unasked})
}
