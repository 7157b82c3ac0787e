package rollout

import (
	"fmt"
	"time"
)

// A fleet whose file is gone is retired after a grace, in which the file may come back: an
// editor or a checkout may have taken it for a moment. Until then what is under way stands
// still, as if it were paused, and goes on when there is a file again: no stage begins, no
// more proxies are given the candidate, and nothing is tried again. Those that have it keep
// it: they serve what they have proven, and to put them back and forth for a file that is
// gone for a second would be two more changes of theirs. When the fleet is retired it is given
// up, and they go back. Evidence against it counts all the while.
//
// A proxy from another fleet that has not confirmed the candidate runs its base, or is just
// leaving it: it goes back at once. Control takes it out; see Took.

// noFile is since when a fleet has none, and when it is retired for that.
type noFile struct{ since, until time.Time }

func (s *step) setFileless(e Fileless) {
	was := s.fileless
	switch {
	case e.Is && was == nil:
		s.fileless = &noFile{since: s.now, until: e.Until}
	case e.Is:
		was.until = e.Until
	case was != nil:
		s.fileless = nil
		if s.Rollout != nil {
			s.goOn(was.since)
			s.recruit()
		}
	}
}

// stopped is whether the rollout stands still.
func (f *Fleet) stopped() bool { return f.Rollout.Paused || f.fileless != nil }

// leaves is whether what keeps a proxy in trouble is not sent again, as the fleet has no file:
// what it runs it keeps. One that has nothing has nothing to keep.
func (f *Fleet) leaves(node string) bool {
	p := f.proxies[node]
	return f.fileless != nil && (!p.fresh || p.accepted.Live != "")
}

// Took is whether a proxy from another fleet has the candidate in its real listeners, and has
// confirmed it.
func (f *Fleet) Took(node string) bool { return f.Rollout != nil && f.Rollout.Took[node] }

func (h *HoldUp) noFile(n *noFile) string {
	h.Kind, h.Since, h.Until, h.Do = WaitFile, n.since, n.until, doAbort
	h.Then = "the fleet is retired, and the revision given up"
	return fmt.Sprintf("the rollout stands still in stage %q: the file of the fleet is gone, and it goes on when that is back", h.Stage)
}
