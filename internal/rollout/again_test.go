package rollout

import (
	"testing"
	"time"
)

// crew is a fleet that is told what happens.
type crew struct {
	f   *Fleet
	now time.Time
}

// flipped are how many proxies have the candidate in their real listeners.
func (c *crew) flipped() int {
	if c.f.Rollout == nil {
		return 0
	}
	return len(c.f.Rollout.Flipped)
}

// proxies have all of them accept what they are to have, and pass what they are asked.
func (c *crew) proxies(live func(node string) Probed) {
	for _, node := range []string{"a", "b", "c"} {
		a := c.f.Target(node)
		c.f.Step(Served{Node: node, Live: a.Live, Shadow: a.Shadow}, c.now)
		if a = c.f.Target(node); a.Probe == ProbeNone {
			continue
		}
		e := Probed{Passed: true}
		if a.Probe == ProbeLive && a.Of != "one" {
			e = live(node)
		}
		e.Node, e.Of, e.Probe = node, a.Of, a.Probe
		c.f.Step(e, c.now)
	}
	c.now = c.now.Add(200 * time.Millisecond)
	c.f.Step(Tick{}, c.now)
}

// What was rejected for its surroundings may meet them again: one proxy alone is flipped, and is
// back with the first check that fails; with that holding, all others follow.
func TestTriedAgainOnOneProxy(t *testing.T) {
	c := &crew{f: &Fleet{}, now: epoch}
	for _, node := range []string{"a", "b", "c"} {
		c.f.Step(Joined{Node: node, Health: true, Fresh: true}, c.now)
		c.f.Step(Health{Node: node, Open: true}, c.now)
	}
	plan := defaultPlan()
	plan.Stages = plan.Stages[1:]
	offer := func(id string) {
		c.f.Step(Offered{ID: id, Plan: plan}, c.now)
		c.f.Step(Stored{ID: id}, c.now)
	}
	passes := func(string) Probed { return Probed{Passed: true} }
	fails := func(node string) Probed { e := failing(503, true); e.Node = node; return e }
	offer("one")
	for range 20 {
		c.proxies(passes)
	}
	if c.f.Serving.ID != "one" {
		t.Fatalf("it serves %v", c.f.Serving)
	}

	offer("two")
	most := 0
	for tries := range 4 {
		failed := 0
		for range 40 {
			c.proxies(func(node string) Probed { failed++; return fails(node) })
			most = max(most, c.flipped())
			if c.f.Rollout == nil {
				break
			}
			if c.flipped() > 0 && tries == 0 {
				c.f.Step(Counted{Node: "a", Counters: Counters{At: c.now, Requests: 1, Errors: 1, ServiceErrors: 9}}, c.now)
			}
		}
		i := c.f.rejection("two")
		if i < 0 || !c.f.Rejected[i].Surroundings || c.f.Rejected[i].Tries != tries {
			t.Fatalf("try %d: rejected %+v", tries, c.f.Rejected)
		}
		if tries > 0 && (most != 1 || failed != 1) {
			t.Errorf("try %d: %d proxies were flipped, for %d reports", tries, most, failed)
		}
		most = 0
		c.now = c.f.retryAt()
		c.f.Step(Tick{}, c.now)
		offer("two")
	}
	for range 30 {
		c.proxies(passes)
	}
	if c.f.Serving.ID != "two" || c.f.Rollout != nil {
		t.Errorf("it serves %v", c.f.Serving)
	}
}
