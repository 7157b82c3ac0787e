package rollout

import (
	"errors"
	"fmt"
)

// Restored makes a fleet that was read of what an earlier server has written one that goes on, or
// says what of it can't be true. It is for before its first Step.
func (f *Fleet) Restored() error {
	r := f.Rollout
	if r == nil {
		return nil
	}
	if r.Stage < 0 || r.Stage >= len(r.Plan.Stages) {
		return fmt.Errorf("its rollout is in stage %d of %d", r.Stage+1, len(r.Plan.Stages))
	}
	if r.Candidate.ID == "" {
		return errors.New("its rollout is of no revision")
	}
	for node, stage := range r.Members {
		if stage < 0 || stage >= len(r.Plan.Stages) {
			return fmt.Errorf("its rollout has %q in stage %d of %d", node, stage+1, len(r.Plan.Stages))
		}
	}
	if r.Members == nil {
		r.Members = map[string]int{}
	}
	if r.Flipped == nil {
		r.Flipped = map[string]bool{}
	}
	return nil
}
