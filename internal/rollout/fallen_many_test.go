package rollout

import (
	"fmt"
	"testing"
	"time"
)

// Losses that are only counted, as they are many, are counted once, and those that have come back not at all.
func TestManyLossesAreCountedOnce(t *testing.T) {
	for back, members := range map[int]int{0: 2000, 100: 1000} {
		c := newCrowd()
		c.join(2000)
		c.step(Offered{ID: "r2", Plan: crowdPlan(time.Minute)})
		r := c.f.Rollout
		for i := range 300 {
			node := fmt.Sprint("gone-", i)
			at := c.now.Add(-2 * vacancy)
			if i >= 150 { // may still come back
				at = c.now
			}
			if r.Fallen == nil {
				r.Fallen = map[string]Fall{}
			}
			r.Fallen[node] = Fall{At: at, After: time.Second}
		}
		r.members = members // a tenth of them and of the lost may be lost
		s := &step{Fleet: c.f}
		s.now = c.now
		r.losses(c.now)
		for i := range back {
			delete(r.Fallen, fmt.Sprint("gone-", i))
		}
		for range 3 {
			s.countFallen()
		}
		if c.f.Rollout == nil {
			t.Fatalf("with %d back it is rejected: %v", back, c.f.Rejected)
		}
		if _, gone := r.losses(c.now); r.Forgotten+len(gone) != 150-back {
			t.Errorf("with %d back %d are counted of %d", back, r.Forgotten+len(gone), 150-back)
		}
	}
}
