package control

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// rolling is a loop with a rollout that does not end.
func rolling(t testing.TB) *Control {
	t.Helper()
	c := idle(t)
	change := func(text string) {
		c.edit(t, 1, yaml(text))
		c.disk()
	}
	change(fleetYAML)
	c.accept(0, 1)
	c.tick()
	change(strings.Replace(fleetYAML, "port_value: 1", "port_value: 2", 1) +
		"rollout: {stages: [{name: all, percent: 100, bake: 1h}]}\n")
	if s := c.fleets["edge"]; s.rollout.Rollout == nil || s.rollout.Serving.ID == "" {
		t.Fatalf("it is no rollout: %+v", s.rollout)
	}
	return c
}

func node(i int) *corev3.Node { return &corev3.Node{Id: fmt.Sprintf("p-%05d", i)} }

// accept has proxies connect, and take all that they are to have.
func (c *Control) accept(first, n int) {
	var events []xds.Event
	for i := range n {
		events = append(events, xds.Event{Kind: xds.Connected, Node: node(first + i), Fresh: true})
	}
	c.proxyEvents(events)
	for range 2 { // what is good, and the candidate
		for i := range events {
			a := c.nodes[events[i].ID()].target
			events[i] = xds.Event{Kind: xds.Served, Node: events[i].Node, Revision: pairOf(a)}
		}
		c.proxyEvents(events)
	}
}

// A proxy that joins a rollout has the loop look at itself, not at all that are there: what the
// loop allocates for a hundred more does not grow with the fleet. (Allocations are counted and
// not seconds, which are the machine's as well; the benchmark below has those.)
func TestJoiningDoesNotGrowWithTheFleet(t *testing.T) {
	const batch, many = 100, 4000
	c := rolling(t)
	joins := func(first int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range batch {
			c.accept(first+i, 1)
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	c.accept(1, batch)
	few := joins(1 + batch)
	for i := 1 + 2*batch; i <= many; i += batch {
		c.accept(i, batch)
	}
	if among := joins(1 + many); among > 2*few {
		t.Errorf("the loop allocates %d times for %d proxies that join %d others, %d times among the first %d", among, batch, many, few, 2*batch)
	}
}

// What a proxy costs the loop that joins a rollout must not grow with the fleet.
// Events come in batches, as they do while the loop is busy.
func BenchmarkJoiningARollout(b *testing.B) {
	const batch = 100
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				c := rolling(b)
				begin := time.Now()
				for i := 1; i <= n; i += batch {
					c.accept(i, batch)
				}
				c.tick()
				took += time.Since(begin)
				if got := c.status(0).Fleets[0].Rollout.Phases[rollout.Confirmed]; got != n {
					b.Fatalf("%d have the candidate, want %d", got, n)
				}
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/float64(n), "ns/proxy")
		})
	}
}

// What a save costs the loop, of which it makes a copy, and what all of it takes,
// which is beside the loop.
func BenchmarkSaving(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := rolling(b)
			c.accept(1, n)
			c.disk()
			s := c.fleets["edge"]
			var inLoop time.Duration
			for b.Loop() {
				begin := time.Now()
				c.store(s)
				inLoop += time.Since(begin)
				c.disk()
			}
			b.ReportMetric(float64(inLoop.Nanoseconds())/float64(b.N), "ns-in-loop/op")
		})
	}
}
