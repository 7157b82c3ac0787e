package rollout

import (
	"cmp"
	"maps"
	"slices"
)

// A proxy that is away is remembered: it comes back as what it was, be it after all of
// them were cut off at once. Where ids are new ones each time a proxy is started, most
// of those that have left never do, so that there is a limit: those go first that left
// first.

// mostRemembered is how many proxies are remembered of a small fleet, connected or not.
const mostRemembered = 10_000

// remembers is how many are of this one: twice as many as it ever had at once.
func (s *step) remembers() int { return max(mostRemembered, 2*s.peak) }

// arrived counts the proxies.
func (s *step) arrived(node string) {
	delete(s.leftAs, node)
	s.peak = max(s.peak, len(s.proxies))
	if r := s.Rollout; r != nil && s.leftAs == nil { // after a restart
		s.peak = max(s.peak, len(r.Members))
		s.leftAs = map[string]int{}
	}
}

// departed notes the order in which members leave.
func (s *step) departed(node string) {
	if s.Member(node) {
		if s.leftAs == nil {
			s.leftAs = map[string]int{}
		}
		s.departures++
		s.leftAs[node] = s.departures
	}
}

// forgetMembers drops the members that left first, when there are too many. One that
// comes back after all is a member again when its stage has room. It does so with
// proxies that wait for a place and have left.
func (s *step) forgetMembers() {
	r, limit := s.Rollout, s.remembers()
	if r.pool != nil && len(r.pool.free) > limit {
		r.pool = nil // it is counted anew
	}
	if len(r.Members) <= limit {
		return
	}
	away := slices.DeleteFunc(slices.Collect(maps.Keys(r.Members)), func(node string) bool { return s.proxies[node] != nil })
	slices.SortFunc(away, func(a, b string) int { return cmp.Compare(s.leftAs[a], s.leftAs[b]) })
	for _, node := range away[:min(len(away), limit/5)] {
		r.drop(node)
		delete(s.leftAs, node)
	}
	r.pool = nil
	s.do(Store{})
}

// forgetRefusals drops those of proxies that are away, when there are too many.
func (s *step) forgetRefusals() {
	if len(s.refusing) > s.remembers() {
		maps.DeleteFunc(s.refusing, func(node string, _ bool) bool { return s.proxies[node] == nil })
	}
}
