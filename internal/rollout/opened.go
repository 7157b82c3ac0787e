package rollout

import (
	"maps"
	"slices"
	"strings"
)

// A first revision has nothing before it that its proxies could go back to. Those whose
// real listeners have flipped have opened them for it, and are not left to themselves:
//
//   - it was rejected, or a person gave it up: they are to have "closed-ID", in which every
//     request is denied and the listeners are taken away;
//   - it was given up for a newer one, with no evidence against it: they keep it, as any
//     proxy keeps what it runs, until the newer one is proven.
//
// A proxy that joins without any configuration has opened none.

// closedMark begins what stands for a rejected revision; control makes it of the revision.
const closedMark = "closed-"

// keepOpened notes what proxies are to have that have flipped in a rollout that ends
// without a revision to go back to.
func (s *step) keepOpened(r *Rollout, id string) {
	if s.Serving.ID != "" || r.Move {
		return
	}
	for node := range r.Flipped {
		if p := s.proxies[node]; r.Bases[node] != "" || p != nil && p.base != "" {
			continue // it goes back to what it ran in its fleet before
		}
		s.opened(node, id)
	}
	for node, held := range s.Opened {
		if held == r.Candidate.ID { // it was given up for a newer one once, and is now rejected
			s.Opened[node] = id
		}
	}
	if len(s.Opened) > s.remembers() {
		maps.DeleteFunc(s.Opened, func(node, _ string) bool { return s.proxies[node] == nil })
	}
}

// closeFirst does that with a first revision that was served, and is taken back: all
// proxies have opened listeners for it, also those that are away.
func (s *step) closeFirst(id string) {
	s.Closed = closedMark + id
	for node, p := range s.proxies {
		if p.base == "" {
			s.opened(node, s.Closed)
		}
	}
}

func (s *step) opened(node, id string) {
	if s.Opened == nil {
		s.Opened = map[string]string{}
	}
	s.Opened[node] = id
	if p := s.proxies[node]; p != nil {
		p.own = false // it has what is known
	}
}

// wayBack is what a flipped proxy's shadow listener holds: what it would go back to or, where
// that is nothing that is served, what it has.
func (f *Fleet) wayBack(base string) string {
	if base == "" || strings.HasPrefix(base, closedMark) {
		return f.Rollout.Candidate.ID
	}
	return base
}

// Held lists what proxies are to have that have opened listeners for nothing good.
func (f *Fleet) Held() []string {
	held := slices.Collect(maps.Values(f.Opened))
	if f.Closed != "" {
		held = append(held, f.Closed)
	}
	slices.Sort(held)
	return slices.Compact(held)
}

// Holds reports whether a revision is needed to say what such proxies are to have.
func (f *Fleet) Holds(id string) bool {
	if f.Closed == closedMark+id {
		return true
	}
	for _, held := range f.Opened {
		if strings.TrimPrefix(held, closedMark) == id {
			return true
		}
	}
	return false
}
