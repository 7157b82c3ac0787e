package rollout

import (
	"fmt"
	"time"
)

// A listener that has changed is warmed by Envoy before it takes the place of the one before: it waits
// for what it asks others for, routes, filters and secrets by a source that is not this server, or keys
// of tokens. (What this server delivers it waits for as well, and acknowledges, which is waited for
// anyway.) It is acknowledged before that, and the checks are answered by the one before it, for
// 15 s by default; what is answered then nobody has seen. So where the candidate asks
// others and a proxy reports more warming listeners than it had before, it has not confirmed: it is asked anew
// when they are warm.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/stats#listener-manager

// opening is what is known of a proxy's warming listeners.
type opening struct {
	before int  // how many there were before it was given the candidate
	waits  bool // there are more, or no report has said yet
}

// sinceFlip is how old a flip is at least of which a report tells: one that was under way is of
// the time before.
const sinceFlip = 200 * time.Millisecond

// firstReport is how long a proxy is waited for that has not reported yet, and may never: Envoy's
// default stats_flush_interval is 5 s.
const firstReport = 6 * time.Second

// flipOpens begins to look at a proxy whose real listeners have the candidate. Where that asks others,
// a report is waited for.
func (s *step) flipOpens(node string) {
	s.proxies[node].opening.waits = s.Rollout.Plan.AsksOthers
}

// neverReports is whether a proxy goes on of whose listeners nothing will be known.
func (s *step) neverReports(p *proxy) bool {
	return p.opening.waits && p.phase == Confirming && p.traffic.last.IsZero() && s.now.Sub(p.since) > firstReport
}

// countWarming takes how many listeners of a proxy warm.
func (s *step) countWarming(node string, warming int, at time.Time) {
	p, r := s.proxies[node], s.Rollout
	if r == nil || p.phase == Idle || p.phase == Joining {
		p.opening = opening{before: warming}
		return
	}
	if !r.Plan.AsksOthers || !r.Flipped[node] || p.trouble != nil || p.phase != Confirming && p.phase != Confirmed || at.Sub(p.since) < sinceFlip {
		return
	}
	waited := p.opening.waits
	p.opening.waits = warming > p.opening.before
	switch {
	case p.opening.waits && p.phase == Confirmed:
		s.enter(node, Confirming)
	case waited && !p.opening.waits && p.phase == Confirming:
		p.asked++ // what was answered the listeners before have answered
		s.do(Assign{node})
		s.waive(node)
	}
}

// opens says that proxies are waited for until their listeners are warm, "" where none is.
func (f *Fleet) opens(nodes []string) string {
	n := 0
	for _, node := range nodes {
		if f.proxies[node].opening.waits {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (the listeners of %d of %d are not known to be warm yet: they ask others than this server for something, "+
		"and until it comes the listeners before them answer)", n, len(nodes))
}
