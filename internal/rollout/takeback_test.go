package rollout

import (
	"strings"
	"testing"
	"time"
)

// vmsFleet serves r1 to r3, one after the other, which have these VMs, and r3 is watched.
func vmsFleet(failOpen bool, vms map[string]string) *crowd {
	c := &crowd{f: &Fleet{}, now: epoch}
	c.f.SetSharedVMs(func(of, other string) Sharing {
		shared, all := 0, strings.Fields(vms[of])
		for _, vm := range all {
			if strings.Contains(vms[other], vm) {
				shared++
			}
		}
		return SharingOf(shared, len(all))
	})
	c.join(2)
	for _, revision := range []string{"r1", "r2", "r3"} {
		plan := crowdPlan(0)
		plan.FailOpen, plan.Watch, plan.LiveChecks, plan.ShadowChecks = failOpen, time.Hour, false, false
		c.step(Offered{ID: revision, Plan: plan})
		c.step(Stored{revision})
		c.until(func() bool { return c.f.Rollout == nil })
		c.counts(Counters{Requests: 100, Begun: 100}, 5)
	}
	return c
}

// counts has the first proxy report so some times, and the other that all is well.
func (c *crowd) counts(counters Counters, times int) {
	for range times {
		c.now = c.now.Add(time.Second)
		for i := range 2 {
			counted := Counters{Requests: 100, Begun: 100}
			if i == 0 {
				counted = counters
			}
			counted.At = c.now
			c.step(Counted{Node: id(i), Counters: counted})
			c.answer(id(i))
		}
	}
}

// A VM that has crashed is kept by its proxy for as long as anything has it: what is taken back goes to a revision
// with another one, or stays, and where some may be the same that is said until there is another process.
func TestTakenBackToOtherVMs(t *testing.T) {
	for _, c := range []struct {
		name, r1, r2, r3 string
		serves           string
		degraded         bool // under FAIL_OPEN, once the VM has crashed
	}{
		{"another module before", "a", "b", "c", "r2", false},
		{"the same module before", "a", "b", "b", "r1", false},
		{"the same in all", "b", "b", "b", "r3", true},
		{"one of two", "a", "b x", "b y", "r2", true},
	} {
		for _, failOpen := range []bool{true, false} {
			t.Run(c.name+map[bool]string{true: ", open", false: ", closed"}[failOpen], func(t *testing.T) {
				f := vmsFleet(failOpen, map[string]string{"r1": c.r1, "r2": c.r2, "r3": c.r3})
				crashed := Counters{Requests: 100, Begun: 100, Errors: 60, Filtered: 60}
				if failOpen {
					crashed.Errors, crashed.Filtered = 1, 1
				}
				f.counts(crashed, 1)
				f.counts(Counters{Requests: 100, Begun: 100}, 20)
				if f.f.Serving.ID != c.serves {
					t.Errorf("it serves %s", f.f.Serving.ID)
				}
				if degraded := f.f.Watch.Degraded != nil; failOpen && degraded != c.degraded {
					t.Errorf("degraded: %+v", f.f.Watch.Degraded)
				}
				f.step(Left{Node: id(0)})
				f.step(Joined{Node: id(0), Fresh: true})
				f.answer(id(0))
				f.now = f.now.Add(2 * time.Minute)
				f.step(Tick{})
				if d := f.f.Watch.Degraded; d != nil {
					t.Errorf("with a new process it is degraded: %+v", d)
				}
			})
		}
	}
}

// A watch asks for the Tick that ends it.
func TestWatchEndsByItself(t *testing.T) {
	c := vmsFleet(false, nil)
	for ticks := 0; !c.f.Watch.Until.IsZero(); ticks++ {
		next := c.f.Next(c.now)
		if next.IsZero() || ticks > 10 {
			t.Fatalf("after %d ticks it is watched until %s, and asks for a tick at %s", ticks, c.f.Watch.Until, next)
		}
		if next.After(c.now) {
			c.now = next.Add(time.Millisecond) // a timer is a little late
		}
		if c.f.Next(c.now).IsZero() {
			t.Fatal("when it is due it asks for none")
		}
		c.step(Tick{})
	}
	if next := c.f.Next(c.now); !next.IsZero() {
		t.Errorf("when it has ended it asks for a tick at %s", next)
	}
}
