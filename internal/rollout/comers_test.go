package rollout

import (
	"fmt"
	"testing"
	"time"
)

// churn is what goes on in a fleet whose hosts come and go: in each quarter of a second one is
// new and one opens its streams anew. Each answers two seconds late.
func (c *crowd) churn(until func() bool) time.Duration {
	begun, answers := c.now, map[string]time.Time{}
	for i := 0; !until() && c.now.Sub(begun) < 10*time.Minute; i++ {
		c.now = c.now.Add(250 * time.Millisecond)
		c.step(Tick{})
		for _, node := range c.come(i) {
			answers[node] = c.now.Add(2 * time.Second)
		}
		for n := range c.n {
			if node := id(n); !c.now.Before(answers[node]) {
				c.answer(node)
			}
		}
	}
	return c.now.Sub(begun)
}

// come has one proxy come that is new, and one come back.
func (c *crowd) come(i int) []string {
	back, other := id(i*7%c.n), id(c.n)
	c.n++
	a := c.f.Accepted(back)
	c.step(Health{Node: back, Open: false})
	c.step(Left{Node: back})
	c.step(Joined{Node: back, Attributes: map[string]string{"id": back}, Health: true})
	c.step(Served{Node: back, Live: a.Live, Shadow: a.Shadow})
	c.step(Health{Node: back, Open: true})
	c.step(Joined{Node: other, Attributes: map[string]string{"id": other}, Health: true, Fresh: true})
	c.step(Health{Node: other, Open: true})
	return []string{back, other}
}

// A fleet in which always somebody comes gets a revision as soon as one in which nobody does, but for some seconds.
func TestStageEndsThoughProxiesCome(t *testing.T) {
	for _, manual := range []bool{false, true} {
		c := newCrowd()
		c.join(400)
		plan := crowdPlan(5 * time.Second)
		plan.Stages[1].Manual = manual
		c.step(Offered{ID: "r2", Plan: plan})
		c.step(Stored{"r2"})
		took := c.churn(func() bool { return c.f.Rollout == nil || c.f.Awaiting() })
		if manual && c.f.Rollout != nil {
			c.step(Command{Verb: Promote, By: "alice"})
			took += c.churn(func() bool { return c.f.Rollout == nil })
		}
		if c.f.Serving.ID != "r2" || took > 25*time.Second {
			t.Errorf("manual %t: served is %q after %s: %s", manual, c.f.Serving.ID, took, hold(c))
		}
	}
}

func hold(c *crowd) string {
	if h := c.f.HoldUp(c.now); h != nil {
		return h.Text
	}
	return "nothing is waited for"
}

// In a small fleet each that comes is waited for, and what it shows against the revision counts.
func TestComerIsWaitedForInASmallFleet(t *testing.T) {
	for _, passes := range []bool{true, false} {
		c := newCrowd()
		c.join(3)
		c.step(Offered{ID: "r2", Plan: crowdPlan(5 * time.Second)})
		c.step(Stored{"r2"})
		c.until(func() bool { return c.f.Rollout.Stage == 1 && !c.f.Rollout.bakeSince.IsZero() })
		baking := c.f.Rollout.bakeSince
		node := fmt.Sprint("late-", passes)
		c.step(Joined{Node: node, Attributes: map[string]string{"id": node}, Health: true, Fresh: true})
		c.step(Health{Node: node, Open: true})
		late := c.now.Add(20 * time.Second)
		c.until(func() bool { return !c.now.Before(late) })
		if r := c.f.Rollout; r == nil || !r.bakeSince.Equal(baking) {
			t.Fatalf("the stage has ended without %s, or bakes anew: %+v", node, r)
		}
		for range 6 {
			c.now = c.now.Add(time.Second)
			c.step(Tick{})
			if passes {
				c.answer(node)
			} else if a := c.f.Target(node); a.Probe == ProbeShadow {
				c.step(Probed{Node: node, Of: a.Of, Probe: a.Probe, Failed: live})
			} else {
				c.answer(node)
			}
		}
		if served := c.f.Serving.ID == "r2"; served != passes || c.f.Rollout != nil {
			t.Errorf("passes %t: serving %s, rollout %+v", passes, c.f.Serving.ID, c.f.Rollout)
		}
	}
}
