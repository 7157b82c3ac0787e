package rollout

import "time"

// Without a shadow listener that checks are asked through, nobody says what they are answered
// before the flip. So members are asked them through their real listeners as these are, until they
// hold, or for as long as a shadow would prove the candidate: what fails there already, in the same
// way, is no evidence against it afterwards (service.go). That is where something is served, and
// does not keep a stage for long: what can't be asked goes on without.

// beforePatience is how long a member is waited for that is to say what its checks are answered.
const beforePatience = 5 * time.Second

// asksBefore is whether a member is asked so: it runs what is served, or what it comes with from
// another fleet.
func (f *Fleet) asksBefore(p *proxy) bool {
	r := f.Rollout
	runs := f.Serving.ID
	if p.base != "" {
		runs = p.base
	}
	return r.Plan.LiveChecks && !r.Plan.ShadowChecks && runs != "" && p.accepted.Live == runs && p.unasked == "" && p.health
}

// askedLong is whether it was asked for long enough.
func (f *Fleet) askedLong(p *proxy) bool { return f.now.Sub(p.since) >= beforePatience }

// answeredBefore takes what a member is answered before its flip where it proves nothing in a
// shadow, and reports whether that was all that was asked.
func (s *step) answeredBefore(e Probed) bool {
	p := s.proxies[e.Node]
	if e.Passed && (len(e.Before) == 0 || !p.held) {
		return false // what fails must do so for as long as a shadow would be asked
	}
	if p.phase == Proving { // they hold, or can't be asked: what that means is found after the flip
		s.enter(e.Node, Proven)
	}
	return true
}
