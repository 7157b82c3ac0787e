package rollout

import (
	"testing"
	"time"
)

// A service that fails for a moment is no evidence against what bakes then, whether it does so
// on all hosts or on one, and whether witnesses were asked in that moment or not.
func TestBlipIsNoEvidence(t *testing.T) {
	for name, alone := range map[string]bool{"on all hosts": false, "on that of the canary": true} {
		for _, nodes := range [][]string{{"a"}, {"a", "b", "c"}} {
			for length := 200 * time.Millisecond; length < blip; length += 200 * time.Millisecond {
				o := newOutage(t, nodes...)
				for range 3 { // one after the other: the bake begins anew each time
					began := o.now
					o.pass(5*time.Second, func(node string) int {
						if o.now.Sub(began) <= length && (node == o.canary || !alone) {
							return 503
						}
						return 200
					})
				}
				if o.Serving.ID != "one" || len(o.Rejected) > 0 || len(o.Rollout.Flipped) != 1 {
					t.Errorf("%s of %d, for %s: it serves %v; rejected: %+v", name, len(nodes), length, o.Serving, o.Rejected)
					continue
				}
				o.pass(20*time.Second, nil)
				if o.Serving.ID != "two" {
					t.Errorf("%s of %d, for %s: it serves %v in the end, and waits for %+v", name, len(nodes), length, o.Serving, o.HoldUp(o.now))
				}
			}
		}
	}
}

// What fails for longer is found all the same, soon: what a filter answers by itself at once,
// what may be the service's when it has not held for a second, and what fails now and then
// though no counter tells of the service after a few times.
func TestFaultsAreFoundForAllBlips(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(report int) int
		within time.Duration
	}{
		"it traps":                 {func(int) int { return 503 }, blip + 2*tickEvery},
		"it denies":                {func(int) int { return 403 }, hearingAfter + 4*tickEvery},
		"it traps for one of five": {func(report int) int { return 200 + 303*btoi(report%5 == 0) }, 5 * time.Second},
	} {
		o, report := newOutage(t, "a", "b", "c"), 0
		began := o.now
		for len(o.Rejected) == 0 && o.now.Sub(began) < time.Minute {
			o.pass(tickEvery, func(node string) int {
				if node != o.canary {
					return 200
				}
				report++
				return c.answer(report)
			})
		}
		took := o.now.Sub(began)
		t.Logf("%s: found after %s", name, took)
		if len(o.Rejected) != 1 || took > c.within {
			t.Errorf("%s: found after %s, at most %s wanted; %+v", name, took, c.within, o.Rejected)
		}
	}
}

// The filters' own wrong answer is evidence at once.
func TestFiltersOwnAnswerIsNoBlip(t *testing.T) {
	o := newOutage(t, "a", "b", "c")
	o.Step(Probed{Node: o.canary, Of: "two", Probe: ProbeLive, Failed: live, Wrong: []CheckAnswer{{Check: live, Status: 200, Want: 403, Old: true}}}, o.now)
	if len(o.Rejected) != 1 || o.Rejected[0].Surroundings {
		t.Errorf("%+v", o.Rejected)
	}
}

// A service that fails for longer than a moment, while others fail as well, and the candidate's
// check is a new one: what it is rejected for is around it, and it is tried again by itself.
func TestOthersThatFailAreTheSurroundings(t *testing.T) {
	o := newOutage(t, "a", "b", "c")
	o.pass(time.Second, nil)
	for end := o.now.Add(3 * time.Second); o.now.Before(end) && len(o.Rejected) == 0; o.now = o.now.Add(tickEvery) {
		for node := range o.proxies {
			if a := o.Target(node); a.Probe == ProbeLive {
				o.Step(Probed{Node: node, Of: a.Of, Probe: a.Probe, Failed: live, Wrong: []CheckAnswer{{Check: live, Status: 503, Want: 200, Passes: true, Same: a.Of}}}, o.now)
			}
		}
	}
	if len(o.Rejected) != 1 || !o.Rejected[0].Surroundings {
		t.Errorf("%+v, it waits for %+v", o.Rejected, o.HoldUp(o.now))
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
