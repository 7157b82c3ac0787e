package rollout

// A proxy may come with a configuration of which nothing is known: it is another server's, or
// this one's from before its state was lost. It works, and has something to lose, though there
// is nothing that it could be given to go back to. So a first revision goes to such proxies in
// stages, as any other does: one that is not flipped keeps what it has, also when the revision
// is rejected, and a service that fails one after its flip, and did not before, is evidence.
// One that was flipped has the new listeners in the place of its own. Where these fail they are
// closed, as those of a first revision are.

// mayBeOwn is whether what a proxy has is not of this fleet, as far as is known.
func (f *Fleet) mayBeOwn(node string) bool {
	if r := f.Rollout; r != nil && r.Flipped[node] {
		return false
	}
	return f.Serving.ID == "" && f.Opened[node] == "" && f.Closed == ""
}

func (f *Fleet) anyOwn() bool {
	for _, p := range f.proxies {
		if p.own && f.Serving.ID == "" {
			return true
		}
	}
	return false
}

// ownJoined has a first revision that goes to all at once go in stages from now on.
func (s *step) ownJoined() {
	r := s.Rollout
	if r == nil || r.Staged || len(r.Full) == 0 {
		return
	}
	r.Staged, r.Own, r.Plan.Stages, r.Full = true, true, r.Full, nil
	s.startStage(0)
}
