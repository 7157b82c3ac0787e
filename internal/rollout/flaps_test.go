package rollout

import (
	"strings"
	"testing"
	"time"
)

// flapping is a service that is down for a quarter of each two seconds, for all proxies.
func (o *outage) flapping(string) int {
	if o.now.UnixMilli()%2000 < 500 {
		return 503
	}
	return 200
}

// A service that fails now and then for all has an end: the stage has its deadline and its bake,
// which is said while it lasts; then the revision is given up for its surroundings, and served
// when the service is well.
func TestFlappingServiceHasAnEnd(t *testing.T) {
	o := newOutage(t, "a", "b", "c")
	stage := o.Rollout.stage()
	most := stage.Deadline + stage.Bake
	began := o.now
	o.pass(most-5*time.Second, o.flapping)
	h := o.HoldUp(o.now)
	if len(o.Rejected) > 0 || h.Until.IsZero() || h.Until.After(began.Add(most+3*time.Second)) || !strings.Contains(h.Text, "now and then") {
		t.Fatalf("rejected: %+v, it waits for %+v", o.Rejected, h)
	}
	for end := o.now.Add(10 * time.Second); len(o.Rejected) == 0 && o.now.Before(end); {
		o.pass(tickEvery, o.flapping)
	}
	if len(o.Rejected) != 1 || !o.Rejected[0].Surroundings || !strings.Contains(o.Rejected[0].Reason, "by no fault of the revision") || o.Serving.ID != "one" {
		t.Fatalf("rejected: %+v, it waits for %+v", o.Rejected, o.HoldUp(o.now))
	}
	if h := o.Between(o.now); h == nil || h.Kind != WaitRetry {
		t.Errorf("it is not said that it is tried again: %+v", h)
	}
	o.pass(2*time.Second, nil)
	o.Step(Offered{ID: "two", Plan: defaultPlan()}, o.now) // as the retry has it
	o.Step(Stored{ID: "two"}, o.now)
	o.pass(time.Minute, nil)
	if o.Serving.ID != "two" {
		t.Errorf("it serves %v in the end, and waits for %+v", o.Serving, o.HoldUp(o.now))
	}
}

// What is no flapping has no such end: one failure, a service that is down all the time, failures
// with a whole bake between them, and a stage that may take as long as it takes.
func TestWhatIsNoFlapping(t *testing.T) {
	for name, c := range map[string]struct {
		plan   func(*Plan)
		answer func(o *outage, since time.Duration) int
	}{
		"down all the time": {func(*Plan) {}, func(*outage, time.Duration) int { return 503 }},
		"a bake between two, in a stage that waits for a person": {func(p *Plan) { p.Stages[0].Manual = true }, func(_ *outage, since time.Duration) int {
			return 200 + 303*btoi(since%(20*time.Second) < time.Second/2)
		}},
		"no deadline": {func(p *Plan) { p.Stages[0].Deadline = 0 }, func(o *outage, _ time.Duration) int { return o.flapping("") }},
	} {
		o := newOutage(t, "a", "b", "c")
		c.plan(&o.Rollout.Plan)
		began := o.now
		o.pass(3*time.Minute, func(string) int { return c.answer(o, o.now.Sub(began)) })
		if len(o.Rejected) > 0 || o.Rollout == nil {
			t.Errorf("%s: rejected: %+v", name, o.Rejected)
		}
	}
}

// A first revision has nothing to go back to: it waits for a service that flaps, too.
func TestFirstRevisionWaitsForAServiceThatFlaps(t *testing.T) {
	plan := defaultPlan()
	o := &outage{Fleet: opened(plan), t: t, now: epoch.Add(2 * time.Second)}
	o.Rollout.Plan.Stages[0].Bake = 10 * time.Second
	o.pass(3*time.Minute, o.flapping)
	if len(o.Rejected) > 0 || o.Rollout == nil || o.Rollout.flaps.count > 0 {
		t.Errorf("it serves %v, rejected: %+v", o.Serving, o.Rejected)
	}
}
