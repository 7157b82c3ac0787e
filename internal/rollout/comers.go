package rollout

import "time"

// Proxies come while a stage is under way: a fleet grows, its hosts are restarted one after the
// other, a stream breaks and is opened anew. In a fleet of thousands there is always one that has
// just come. Each is proven and flipped as the others were, and what tells against the revision
// counts from it too. But it does not make the bake begin anew, which is to show that those hold
// the revision that had it; and where the comers are few beside the others, their stage goes on
// without waiting for them. Else it would end by chance only, in a fleet that is large enough never.

// comersMost is how many proxies of a stage there must be to each comer for it not to be waited for.
const comersMost = 10

// comes is whether a member whose place is found now comes to a stage that is under way. One that
// has something to lose is always waited for: it is here to be proven.
func (s *step) comes(p *proxy) bool {
	return p.base == "" && !p.own && s.now.After(s.Rollout.StageAt)
}

// comesAgain has a member say again that the checks hold, whose health discovery stream has broken.
func (s *step) comesAgain(node string) {
	s.discount(node)
	s.proxies[node].came = s.comes(s.proxies[node])
	s.count(node)
	s.enter(node, Confirming)
}

// settleComers has a stage that begins wait for all of its members, also those that came to the one before.
func (s *step) settleComers() {
	for node := range s.Rollout.Members {
		if p := s.proxies[node]; p != nil && p.came {
			s.discount(node)
			p.came = false
			s.count(node)
		}
	}
}

// few is whether some are so few beside the members of the stage that it goes on without them.
func (r *Rollout) few(n int) bool { return n*comersMost <= r.members }

// allConfirmed is whether all of the stage that it waits for have confirmed the candidate.
func (r *Rollout) allConfirmed() bool {
	return r.members > 0 && !r.clientsOnly() && (r.waiting == 0 || r.waiting == r.coming && r.few(r.coming))
}

// allProven is whether all of the stage that it waits for have proven the candidate.
func (r *Rollout) allProven() bool {
	return r.members > 0 && (r.unproven == 0 || r.unproven == r.comingUnproven && r.few(r.coming))
}

// bakeAnew has the bake begin anew where a member no longer holds the candidate that has held it,
// or nobody is left who does.
func (r *Rollout) bakeAnew() {
	if r.members == 0 || r.waiting > r.coming {
		r.bakeSince = time.Time{}
	}
}
