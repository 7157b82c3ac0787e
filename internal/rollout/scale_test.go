package rollout

import (
	"fmt"
	"testing"
	"time"
)

// crowd is a fleet of many proxies that do at once what they are told.
type crowd struct {
	f   *Fleet
	now time.Time
	n   int
}

func id(i int) string { return fmt.Sprintf("p-%05d", i) }

// newCrowd is on a first revision, with one proxy.
func newCrowd() *crowd {
	c := &crowd{f: &Fleet{}, now: epoch}
	c.step(Offered{ID: "r1", Plan: crowdPlan(0)})
	c.step(Stored{"r1"})
	c.join(1)
	c.until(func() bool { return c.f.Rollout == nil })
	return c
}

func crowdPlan(bake time.Duration) Plan {
	p := defaultPlan()
	p.Stages = []Stage{{Name: "canary", Percent: 10, Bake: bake, Deadline: time.Hour}, {Name: "all", Percent: 100, Bake: bake, Deadline: time.Hour}}
	return p
}

func (c *crowd) step(e Event) { c.f.Step(e, c.now) }

// join connects n more, each of which accepts what it is to have.
func (c *crowd) join(n int) {
	for range n {
		node := id(c.n)
		c.n++
		c.step(Joined{Node: node, Attributes: map[string]string{"id": node}, Health: true, Fresh: true})
		c.step(Health{Node: node, Open: true})
		c.answer(node)
	}
}

// trickle connects n more, each of which proves what it is to have before the next comes.
func (c *crowd) trickle(n int) {
	for range n {
		c.join(1)
		for range 4 {
			c.now = c.now.Add(tickEvery * 2)
			c.answer(id(c.n - 1))
		}
	}
}

// answer accepts and reports.
func (c *crowd) answer(node string) {
	if a := c.f.Target(node); a != (Assignment{Live: c.f.Accepted(node).Live, Shadow: c.f.Accepted(node).Shadow, Probe: a.Probe, Of: a.Of}) {
		c.step(Served{Node: node, Live: a.Live, Shadow: a.Shadow})
	}
	if a := c.f.Target(node); a.Probe != ProbeNone {
		c.step(Probed{Node: node, Of: a.Of, Probe: a.Probe, Passed: true})
	}
}

// until has all proxies answer, and time pass, until a condition holds.
func (c *crowd) until(condition func() bool) {
	for !condition() {
		c.now = c.now.Add(tickEvery)
		c.step(Tick{})
		for i := range c.n {
			c.answer(id(i))
		}
	}
}

// What the loop has to do for a proxy must not grow with the fleet: proxies that
// join in mid-rollout, one after the other, while a stage has flipped already.
func BenchmarkJoining(b *testing.B) {
	for _, stage := range []int{0, 1} {
		for _, n := range []int{1000, 10_000} {
			b.Run(fmt.Sprintf("stage%d/%d", stage+1, n), func(b *testing.B) {
				var took time.Duration
				for b.Loop() {
					c := newCrowd()
					c.join(100)
					c.step(Offered{ID: "r2", Plan: crowdPlan(0)})
					c.until(func() bool { return c.f.Rollout.Stage == stage && c.f.Rollout.Released })
					c.f.Rollout.Plan.Stages[stage].Bake = 1000 * time.Hour
					begin := time.Now()
					c.trickle(n)
					took += time.Since(begin)
				}
				b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/float64(n), "ns/proxy")
			})
		}
	}
}

// A rollout from the save to the end, all proxies being there.
func BenchmarkWholeRollout(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				c := newCrowd()
				c.join(n)
				begin := time.Now()
				c.step(Offered{ID: "r2", Plan: crowdPlan(0)})
				c.step(Stored{"r2"})
				c.until(func() bool { return c.f.Rollout == nil })
				took += time.Since(begin)
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/float64(n), "ns/proxy")
		})
	}
}
