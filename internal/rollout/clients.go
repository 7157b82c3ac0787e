package rollout

import "cmp"

// Clients of gRPC ask for what they want by name, and can be asked no checks: what they take shows that
// they take it. They are given revisions as other members are, but show nothing of the filters that proxies
// have: where a revision has checks, no stage is over, and nothing but a first revision flips, before a
// member that can be asked has shown them. Else a revision would be served that nothing has proven, and
// given to each proxy that comes later.

// setUnasked notes whether a proxy is such a client, and which it can't be asked for. A client takes no
// proxy's place in a stage.
func (s *step) setUnasked(node, why string) {
	p := s.proxies[node]
	if p.unasked == why {
		return
	}
	s.recount(node, func() {
		s.discount(node)
		p.unasked = why
		s.count(node)
	})
	if r := s.Rollout; r != nil && !s.stopped() && r.pool != nil {
		s.fillUp()
	}
}

// client is whether a connected proxy is one, and the revision has checks that it can't be asked.
func (s *step) client(node string) bool {
	p := s.proxies[node]
	return p != nil && p.unasked != "" && s.Rollout.Plan.hasChecks()
}

// hasChecks is whether there is something to ask of a proxy.
func (p Plan) hasChecks() bool { return p.ShadowChecks || p.LiveChecks }

// clientsOnly is whether all of the stage are clients, where the revision has checks.
func (r *Rollout) clientsOnly() bool {
	return r.members > 0 && r.clients == r.members && r.Plan.hasChecks()
}

// clients is where a stage has nobody who can show that the checks hold.
func (h *HoldUp) clients(r *Rollout) (what, does string) {
	h.Kind, h.Since, h.Do = WaitNoProxy, cmp.Or(r.loneAt, r.StageAt), doAbort
	return "stage \"" + h.Stage + "\" waits for a proxy that can be asked the checks: all that it has are clients of gRPC, which can't be", "gives the revision up"
}
