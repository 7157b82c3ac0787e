package rollout

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// A check that fails through a real listener may be the service's doing: it was started anew,
// say, and refused connections for a moment. Such a failure is evidence only if the check is
// asked anew and fails again, for longer than a moment; one that holds then is said, and the
// bake begins anew. That is for failures that a service can cause: not for what the filters
// answer by themselves. What the proxy counts is heard all the while, and tells of a filter
// that crashes.
//
// A filter that fails now and then looks alike. That is forgiven a few times only, where no
// counter says that it was the service, and no proxy with the revision before failed at the time.

const (
	// blip is how long a check is asked anew before its failure is evidence.
	blip = time.Second
	// blipsMost are how many are forgiven that no counter explains.
	blipsMost = 3
)

// asksAnew has checks that fail with the candidate asked anew before that is evidence, and reports
// whether it does.
func (s *step) asksAnew(e Probed) bool {
	p := s.proxies[e.Node]
	patience, may := s.patience(e)
	if !may || p.flaky() {
		return false
	}
	if p.blipAt.IsZero() {
		p.blipAt = cmp.Or(p.wrongAt, s.now) // it may have been held against witnesses before
	} else if s.now.Sub(p.blipAt) >= patience {
		return false
	}
	p.asked++ // another inquiry: one that has failed never passes again
	s.unconfirm(e.Node)
	s.do(Assign{e.Node})
	return true
}

// unconfirm has the stage not end while it is open whether a proxy's failing checks are evidence.
func (s *step) unconfirm(node string) {
	if s.proxies[node].phase == Confirmed {
		s.enter(node, Confirming)
	}
}

// flaky is whether checks have failed too often for a moment for that to be forgiven.
func (p *proxy) flaky() bool { return p.blips >= blipsMost && p.traffic.serviceErrors == 0 }

// patience is for how long checks are asked anew that fail so, and whether they are at all. An
// answer that is no server's failure, a 404 say, is asked anew once, where the shadow has
// proven that it is not the filters'.
func (s *step) patience(e Probed) (time.Duration, bool) {
	plan := s.Rollout.Plan
	if byService(e, true) {
		return blip, true
	}
	return 0, plan.provenInShadow() && len(e.Wrong) > 0 && !slices.ContainsFunc(e.Wrong, func(a CheckAnswer) bool {
		return !a.Passes || !absent(a.Status) && a.Status < http.StatusBadRequest
	})
}

// blipOver says that checks hold again which failed for a moment.
func (s *step) blipOver(e Probed) {
	p := s.proxies[e.Node]
	since := cmp.Or(p.blipAt, p.wrongAt)
	if since.IsZero() || !e.Passed {
		return
	}
	took := s.now.Sub(since).Round(10 * time.Millisecond)
	if !s.othersFail(e.Node) {
		p.blips++
	}
	p.blipAt = time.Time{}
	s.once(Blipped, e.Node, fmt.Sprintf("no evidence against it: a check failed, and holds since it was asked anew, %s later", took))
}

// explainBlips takes the counters of a proxy: where its service has failed, the blips are that.
func (s *step) explainBlips(node string, c Counters) {
	if p := s.proxies[node]; c.ServiceErrors > 0 && c.Filtered == 0 {
		p.blips = 0
	}
}

// othersFail is whether checks have failed with the revision before, too, since they did on a
// proxy that has the candidate: whatever these were, something around both has changed.
func (s *step) othersFail(node string) bool {
	p, r := s.proxies[node], s.Rollout
	since := sooner(sooner(p.blipAt, p.wrongAt), s.now).Add(-blip)
	for witness, w := range r.witnesses {
		if s.couldWitness(witness) && w.failed.After(since) {
			return true
		}
	}
	return false
}
