package rollout

import (
	"slices"
	"testing"
	"time"
)

// moving is a fleet that serves "one" to z, and to which a proxy comes from another.
func moving(t *testing.T) *crew {
	t.Helper()
	c := &crew{f: &Fleet{}, now: epoch}
	join := func(node, base string) {
		c.f.Step(Joined{Node: node, Health: true, Fresh: base == "", Base: base}, c.now)
		c.f.Step(Health{Node: node, Open: true}, c.now)
	}
	join("a", "")
	c.f.Step(Offered{ID: "one", Plan: defaultPlan()}, c.now)
	c.f.Step(Stored{ID: "one"}, c.now)
	for range 20 {
		c.proxies(func(string) Probed { return Probed{Passed: true} })
	}
	if c.f.Serving.ID != "one" {
		t.Fatalf("it serves %v", c.f.Serving)
	}
	join("b", "other/x")
	return c
}

// moves has the proxy take what it is to have; its service fails the checks in the real listener,
// or not.
func (c *crew) moves(fails bool) {
	for range 400 {
		if c.f.Rollout == nil {
			return
		}
		a := c.f.Target("b")
		c.f.Step(Served{Node: "b", Live: a.Live, Shadow: a.Shadow}, c.now)
		if a = c.f.Target("b"); a.Probe != ProbeNone {
			e := Probed{Passed: true}
			if fails && a.Probe == ProbeLive {
				e = failing(503, true)
			}
			e.Node, e.Of, e.Probe = "b", a.Of, a.Probe
			c.f.Step(e, c.now)
		}
		c.now = c.now.Add(200 * time.Millisecond)
		c.f.Step(Tick{}, c.now)
	}
}

// A move that a failing service refused is tried again by itself, later each time, over a restart
// of the server too, and is done when the service answers.
func TestMoveIsTriedAgainAfterItsService(t *testing.T) {
	c := moving(t)
	for tries := range 4 {
		c.f.Step(Offered{ID: "one", Plan: defaultPlan(), Move: true}, c.now)
		c.moves(true)
		u, barred := c.f.Barred("b")
		if !barred || !u.Surroundings || u.Tries != tries {
			t.Fatalf("try %d: %+v, %t", tries, u, barred)
		}
		if at := c.f.MoveRetryAt(); at.Sub(u.At) != backOff(tries) || c.f.Next(c.now).After(at) {
			t.Errorf("try %d: again %s after it", tries, at.Sub(u.At))
		}
		c.now = c.f.MoveRetryAt()
		if effects := c.f.Step(Tick{}, c.now); !slices.Contains(effects, Effect(MoveAgain{})) {
			t.Fatalf("try %d: it does %v", tries, effects)
		}
		if _, barred := c.f.Barred("b"); barred {
			t.Fatalf("try %d: it may not come", tries)
		}
	}
	c.f.Step(Offered{ID: "one", Plan: defaultPlan(), Move: true}, c.now)
	c.moves(false)
	if c.f.base("b") != "one" || len(c.f.Unmoved) > 0 || !c.f.MoveRetryAt().IsZero() {
		t.Errorf("it is to have %s; %+v", c.f.base("b"), c.f.Unmoved)
	}
}

// What is evidence against the revision on that proxy is not tried again by itself.
func TestMoveThatFiltersFailIsNotTriedAgain(t *testing.T) {
	c := moving(t)
	c.f.Step(Offered{ID: "one", Plan: defaultPlan(), Move: true}, c.now)
	for range 20 {
		a := c.f.Target("b")
		c.f.Step(Served{Node: "b", Live: a.Live, Shadow: a.Shadow}, c.now)
		if a = c.f.Target("b"); a.Probe == ProbeShadow {
			e := failing(403, true)
			e.Node, e.Of, e.Probe = "b", a.Of, a.Probe
			c.f.Step(e, c.now)
		}
		c.now = c.now.Add(200 * time.Millisecond)
		c.f.Step(Tick{}, c.now)
	}
	if u, barred := c.f.Barred("b"); !barred || u.Surroundings || !c.f.MoveRetryAt().IsZero() {
		t.Errorf("%+v, %t", u, barred)
	}
}

// Whatever is put into the history is stored in the same step: a crash does not take it back.
func TestHistoryIsStored(t *testing.T) {
	c := moving(t)
	c.f.Step(Left{Node: "b", Moved: true}, c.now)
	said := 0
	for _, e := range []Event{
		Troubled{Node: "a", Live: "one", Reason: "its port is in use"},
		Served{Node: "a", Live: "one"},
		Refused{Node: "a", Live: "one", Reason: "no"},
	} {
		before := len(c.f.History)
		effects := c.f.Step(e, c.now)
		if len(c.f.History) > before {
			said++
			if !slices.Contains(effects, Effect(Store{})) {
				t.Errorf("%T: %v", e, effects)
			}
		}
	}
	if said < 3 {
		t.Errorf("only %d of them are in the history", said)
	}
}
