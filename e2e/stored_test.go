package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// candidateStored waits until a restart would go on with the candidate, and with what
// has happened so far: the state on the disk names it, which is written after the
// candidate itself, and beside the loop. Before that, for milliseconds, a rollout goes
// on from an earlier moment.
func (w *world) candidateStored() {
	w.t.Helper()
	happened := w.history()
	last := happened[len(happened)-1].At
	w.eventually("the state on the disk has what has happened", func() error {
		f, err := w.onlyFleet()
		if err != nil {
			return err
		}
		var saved struct{ Rollout rollout.Fleet }
		data, err := os.ReadFile(filepath.Join(w.dir, "state", "fleets", "edge.json"))
		if err == nil {
			err = json.Unmarshal(data, &saved)
		}
		if r := saved.Rollout.Rollout; err == nil && (r == nil || r.Candidate.ID != f.Candidate.ID) {
			err = fmt.Errorf("%+v, not %+v", r, f.Candidate)
		}
		if h := saved.Rollout.History; err == nil && h[len(h)-1].At.Before(last) {
			err = fmt.Errorf("its history ends with %+v", h[len(h)-1])
		}
		return err
	})
}
