package rollout

import (
	"strings"
	"testing"
	"time"
)

// A proxy that hangs while it waits for its service is found at the deadline, and said before: it
// may hang by the candidate, where no other that has it is heard, and else is in trouble of its own.
func TestHangsWhileItAwaitsItsService(t *testing.T) {
	for name, alone := range map[string]bool{"the only one that has it": true, "another that has it is heard": false} {
		o := newOutage(t, "a", "b", "c", "d", "e")
		if !alone {
			o.Rollout.Plan.Stages[0].Proxies = 2
			o.Rollout.pool = nil
			o.pass(5*time.Second, nil)
		}
		o.pass(2*time.Minute, func(string) int { return 503 }) // longer than the deadline
		down := func(string) int { return 503 }
		o.hangs = o.canary
		o.pass(30*time.Second, down)
		h := o.HoldUp(o.now)
		if len(o.Rejected) > 0 || h.Kind != WaitService || !strings.Contains(h.Text, "nothing is heard of 1 of") || h.Until.IsZero() || h.Until.After(o.now.Add(30*time.Second)) {
			t.Fatalf("%s: rejected: %+v, it waits for %+v", name, o.Rejected, h)
		}
		o.pass(35*time.Second, down)
		if alone {
			if len(o.Rejected) != 1 || o.Rejected[0].Unheard == nil || o.Rejected[0].Node != o.canary {
				t.Errorf("%s: rejected: %+v, it waits for %+v", name, o.Rejected, o.HoldUp(o.now))
			}
			continue
		}
		if got := o.TroubleOf(o.canary); len(o.Rejected) > 0 || !strings.Contains(got.Reason, "it may hang") {
			t.Fatalf("%s: rejected: %+v, trouble: %+v", name, o.Rejected, got)
		}
		o.hangs = ""
		o.pass(5*time.Second, down)
		if phase, _ := o.PhaseOf(o.canary); phase != AwaitingService {
			t.Errorf("%s: it is heard again, and is %s", name, phase)
		}
		if o.pass(time.Minute, nil); o.Serving.ID != "two" {
			t.Errorf("%s: it serves %v in the end, and waits for %+v", name, o.Serving, o.HoldUp(o.now))
		}
	}
}
