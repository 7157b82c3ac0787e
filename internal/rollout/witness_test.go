package rollout

import (
	"testing"
	"time"
)

// outage is a fleet of some proxies that serves revision one, whose canary bakes revision two.
type outage struct {
	*Fleet
	t      *testing.T
	now    time.Time
	canary string
	hangs  string // a proxy that says nothing and takes nothing
}

func newOutage(t *testing.T, proxies ...string) *outage {
	o := &outage{Fleet: &Fleet{}, t: t, now: epoch}
	for _, node := range proxies {
		o.Step(Joined{Node: node, Health: true, Fresh: true}, o.now)
		o.Step(Health{Node: node, Open: true}, o.now)
	}
	for _, id := range []string{"one", "two"} {
		o.Step(Offered{ID: id, Plan: defaultPlan()}, o.now)
		o.Step(Stored{ID: id}, o.now)
		o.pass(3*time.Second, nil)
		for range 200 {
			if id == "one" && o.Serving.ID != id {
				o.pass(time.Second, nil)
			}
		}
	}
	for node := range o.Rollout.Flipped {
		o.canary = node
	}
	if phase, _ := o.PhaseOf(o.canary); o.Serving.ID != "one" || len(o.Rollout.Flipped) != 1 || phase != Confirmed {
		t.Fatalf("it serves %v, and tries %+v", o.Serving, o.Rollout)
	}
	return o
}

// silentNow is the answer of a proxy that says nothing.
const silentNow = -1

// pass lets time pass, in which each proxy takes what it is to have, and is answered so by its
// checks: by default as they want.
func (o *outage) pass(length time.Duration, answer func(node string) int) {
	for end := o.now.Add(length); o.now.Before(end); {
		o.now = o.now.Add(tickEvery)
		o.Step(Tick{}, o.now)
		for node := range o.proxies {
			a := o.Target(node)
			if node == o.hangs {
				continue
			}
			if had := o.Accepted(node); had.Live != a.Live || had.Shadow != a.Shadow {
				o.Step(Served{Node: node, Live: a.Live, Shadow: a.Shadow}, o.now)
			}
			status := 200
			if answer != nil && a.Probe == ProbeLive {
				status = answer(node)
			}
			e := Probed{Node: node, Of: a.Of, Probe: a.Probe, Passed: status == 200}
			if !e.Passed {
				e.Failed, e.Wrong = live, []CheckAnswer{{Check: live, Status: max(status, -status), Again: status == again, Want: 200, Passes: true, Old: true, Same: "k by ingress"}}
			}
			if status != silentNow && a.Probe != ProbeNone {
				o.Step(e, o.now)
			}
		}
	}
}

// A service that fails in a bake, for proxies with the revision before as well, rejects
// nothing: it is waited for, longer than any deadline, and then the stage goes on.
func TestOutageInABakeIsWaitedFor(t *testing.T) {
	o := newOutage(t, "a", "b", "c", "d", "e")
	if got := len(o.Rollout.witnesses); got != witnessesMost {
		t.Errorf("%d proxies are asked for comparison, want %d", got, witnessesMost)
	}
	o.pass(5*time.Minute, func(node string) int {
		if node == o.canary {
			return 503
		}
		return 500
	})
	if len(o.Rejected) > 0 {
		t.Fatalf("it is rejected: %+v", o.Rejected)
	}
	if h := o.HoldUp(o.now); h.Kind != WaitService {
		t.Errorf("it waits for %+v", h)
	}
	o.pass(20*time.Second, nil)
	if o.Serving.ID != "two" {
		t.Errorf("it serves %v; %+v", o.Serving, o.HoldUp(o.now))
	}
}

// What fails with the candidate alone is evidence against it, soon: also when the service has
// failed for all before that.
func TestFailureOfTheCandidateAloneIsEvidence(t *testing.T) {
	for _, before := range []time.Duration{0, 30 * time.Second} {
		o := newOutage(t, "a", "b", "c")
		o.pass(before, func(string) int { return 503 })
		began := o.now
		o.pass(10*time.Second, func(node string) int {
			if node == o.canary {
				return 503
			}
			return 200
		})
		if len(o.Rejected) != 1 {
			t.Fatalf("after an outage of %s: it is not rejected; it waits for %+v", before, o.HoldUp(o.now))
		}
		if took := o.Rejected[0].At.Sub(began); took > askAgain+2*time.Second {
			t.Errorf("after an outage of %s it took %s", before, took)
		}
	}
}

// A check of which nobody knows how it failed, since it is answered as wanted again, is what the
// service may have done where a witness shows that it fails, and where it holds when asked anew.
func TestCheckThatFailedNobodyKnowsHow(t *testing.T) {
	o := newOutage(t, "a", "b", "c")
	o.pass(2*comparing, func(node string) int {
		if node == o.canary {
			return again
		}
		return 503
	})
	if h := o.HoldUp(o.now); len(o.Rejected) > 0 || h.Kind != WaitService {
		t.Errorf("witnesses fail: rejected: %+v, it waits for %+v", o.Rejected, h)
	}
	alone := newOutage(t, "a")
	began := alone.now
	alone.pass(5*time.Second, func(string) int {
		if alone.now.Sub(began) <= blip/2 {
			return again
		}
		return 200
	})
	if len(alone.Rejected) > 0 {
		t.Errorf("it holds when it is asked anew: rejected: %+v", alone.Rejected)
	}
	alone.pass(5*time.Second, func(string) int { return again })
	if len(alone.Rejected) != 1 {
		t.Errorf("it fails anew each time: it waits for %+v", alone.HoldUp(alone.now))
	}
}

// Without a witness, or where it says nothing, a check that fails is evidence as ever; and at
// once where it is no answer of the service's.
func TestWithoutWitnesses(t *testing.T) {
	fails := func(o *outage, others int) func(string) int {
		return func(node string) int {
			if node == o.canary {
				return 503
			}
			return others
		}
	}
	o := newOutage(t, "a", "b", "c")
	o.pass(comparing+2*time.Second, fails(o, silentNow))
	if len(o.Rejected) != 1 {
		t.Errorf("they say nothing: it waits for %+v", o.HoldUp(o.now))
	}
	o = newOutage(t, "a", "b", "c")
	for node := range o.proxies {
		if node != o.canary {
			o.Step(Health{Node: node}, o.now)
		}
	}
	o.pass(blip+time.Second, fails(o, silentNow))
	if len(o.Rejected) != 1 {
		t.Errorf("none can be asked: it waits for %+v", o.HoldUp(o.now))
	}
	o = newOutage(t, "a", "b", "c")
	o.Step(Probed{Node: o.canary, Of: "two", Probe: ProbeLive, Failed: live, Wrong: []CheckAnswer{{Check: live, Status: 503, Want: 403, Old: true, Same: "k by ingress"}}}, o.now)
	if len(o.Rejected) != 1 {
		t.Errorf("the filters' own answer is wrong: it waits for %+v", o.HoldUp(o.now))
	}
}

// What failed before the flip already does not hold the stage up, whatever witnesses say.
func TestWhatFailedBeforeIsNotWaitedFor(t *testing.T) {
	o := newOutage(t, "a", "b", "c")
	o.Rollout.Before = map[string]map[string]int{o.canary: {live: 503}}
	o.pass(3*time.Second, func(string) int { return 503 })
	if phase, _ := o.PhaseOf(o.canary); phase != Confirmed || len(o.Rejected) > 0 {
		t.Errorf("it is %s; rejected: %+v", phase, o.Rejected)
	}
}
