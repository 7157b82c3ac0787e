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

// A service that fails for half a second of every two, for all proxies alike, rejects nothing. What
// is reported is that a check failed once, and is answered as wanted again.
func TestServiceThatFlapsForAllIsNoEvidence(t *testing.T) {
	o := newOutage(t, "a", "b", "c")
	flap := func(again bool) {
		for end := o.now.Add(2 * time.Second); o.now.Before(end); {
			o.now = o.now.Add(tickEvery)
			o.Step(Tick{}, o.now)
			down := end.Sub(o.now) < time.Second/2
			for node := range o.proxies {
				a := o.Target(node)
				if a.Probe == ProbeNone {
					continue
				}
				e := Probed{Node: node, Of: a.Of, Probe: a.Probe, Passed: !down, Unsure: true}
				if down {
					status := 503
					if again {
						status = 200
					}
					e.Failed, e.Wrong = live, []CheckAnswer{{Check: live, Status: status, Again: again, Want: 200, Passes: true, Old: true, Same: "k by ingress"}}
				}
				o.Step(e, o.now)
			}
		}
	}
	for i := range 30 {
		if flap(i%2 == 0); len(o.Rejected) > 0 {
			t.Fatalf("it is rejected: %+v", o.Rejected)
		}
	}
	if o.pass(20*time.Second, nil); o.Serving.ID != "two" {
		t.Errorf("it serves %v in the end, and waits for %+v", o.Serving, o.HoldUp(o.now))
	}
}

// Nine errors of forty requests are no more than four of twenty-six, and twenty of forty are
// more than none of forty.
func TestFewErrorsAreHeldAgainstChance(t *testing.T) {
	limits := defaultPlan().Limits
	if !errorsMeasure.byChanceAlone(window{requests: 40, errors: 9}, limits, window{requests: 26, errors: 4}) {
		t.Error("9 of 40 are evidence, beside 4 of 26")
	}
	if errorsMeasure.byChanceAlone(window{requests: 40, errors: 9}, limits, window{requests: 40}) {
		t.Error("9 of 40 may be chance, where none was before")
	}
	if errorsMeasure.byChanceAlone(window{requests: 400, errors: 100}, limits, window{requests: 400, errors: 20}) {
		t.Error("100 of 400 may be chance, where 20 were before")
	}
}

// More errors than before are the revision's alone where the service did not fail before, and
// what is around it, too, where it did.
func TestMoreErrorsOfAServiceThatFailsAnyway(t *testing.T) {
	for before, around := range map[uint64]bool{0: false, 20: true} {
		f, now := &Fleet{}, epoch
		f.Step(Joined{Node: "a", Health: true, Fresh: true}, now)
		plan := defaultPlan()
		plan.ShadowChecks, plan.LiveChecks = false, false
		for _, id := range []string{"one", "two"} {
			f.Step(Offered{ID: id, Plan: plan}, now)
			f.Step(Stored{ID: id}, now)
			for i := 0; i < 20 && (f.Serving.ID != id || i < 16); i++ {
				a := f.Target("a")
				f.Step(Served{Node: "a", Live: a.Live, Shadow: a.Shadow}, now)
				now = now.Add(time.Second)
				c := Counters{At: now, Requests: 200, Errors: before, ServiceErrors: before}
				if id == "two" && f.Rollout != nil && f.Rollout.Flipped["a"] {
					c.Errors, c.ServiceErrors = 120, 120
				}
				f.Step(Counted{Node: "a", Counters: c}, now)
				f.Step(Tick{}, now)
			}
		}
		if len(f.Rejected) != 1 || f.Rejected[0].Surroundings != around {
			t.Errorf("with %d of 200 before: %+v", before, f.Rejected)
		}
	}
}
