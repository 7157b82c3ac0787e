package control

import (
	"fmt"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/watch"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// A match that claims thousands of proxies moves them over some turns of the loop: in each a
// bounded number, and all in the end, to prove the revision in its stages.
func TestMovesAreSpreadOverTurns(t *testing.T) {
	c, _ := idleIn(t, t.TempDir())
	c.saves(t, 2, map[string]string{
		"edge.yaml":  fileOfFleet("edge", "{cluster: edge}", 1),
		"inner.yaml": fileOfFleet("inner", "{cluster: inner}", 2),
	})
	const n = 3*maxMoves + maxMoves/2
	c.crowd(n)
	c.saves(t, 1, map[string]string{"inner.yaml": fileOfFleet("inner", "{cluster: edge, id: 'p-*'}", 3)})
	for arrived, turns := 0, 1; arrived < n; turns++ {
		now := c.count("inner")
		if now-arrived > maxMoves || now == arrived {
			t.Fatalf("turn %d has moved %d proxies", turns, now-arrived)
		}
		if arrived = now; arrived < n {
			<-c.more
			c.nextTurn()
		}
	}
	c.follow()
	if s := c.fleets["inner"]; s.rollout.Rollout != nil || c.where(node(n-1).GetId()) != "inner" || c.where(node(0).GetId()) != "inner" {
		t.Errorf("they are %s and %s, and wait for %+v", c.where(node(0).GetId()), c.where(node(n-1).GetId()), c.waitsFor(s))
	}
}

// What it costs the loop to move proxies to another fleet that their match claims, by the
// longest turn of it: for so long nobody is answered.
// x-of-first is by how much it is longer than with the first number.
func BenchmarkMoving(b *testing.B) {
	var first time.Duration
	for _, n := range []int{1000, 4000, 16_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var longest, took time.Duration
			for b.Loop() {
				c, _ := idleIn(b, b.TempDir())
				c.saves(b, 2, map[string]string{
					"edge.yaml":  fileOfFleet("edge", "{cluster: edge}", 1),
					"inner.yaml": fileOfFleet("inner", "{cluster: inner}", 2),
				})
				c.crowd(n)
				c.Source.(*build.Files).Take([]watch.Change{{Path: "inner.yaml", Data: []byte(fileOfFleet("inner", "{cluster: edge, id: 'p-*'}", 3))}})
				for arrived := 0; arrived < n; arrived = c.count("inner") {
					begin := time.Now()
					select {
					case <-c.Source.Ready():
						c.sourceEvents(c.Source.Events())
					case <-c.more:
						c.nextTurn()
					}
					turn := time.Since(begin)
					longest = max(longest, turn)
					took += turn
				}
			}
			if first == 0 {
				first = longest
			}
			b.ReportMetric(float64(longest)/float64(first), "x-of-first")
			b.ReportMetric(float64(longest.Milliseconds()), "ms-longest")
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/float64(n), "ns/proxy")
		})
	}
}

// crowd has so many proxies of a cluster come, and take what they are to have.
func (c *Control) crowd(n int) {
	var events []xds.Event
	for i := range n {
		node := node(i)
		node.Cluster = "edge"
		events = append(events, xds.Event{Kind: xds.Connected, Node: node, Fresh: true})
	}
	c.proxyEvents(events)
	for i := range events {
		events[i] = xds.Event{Kind: xds.Served, Node: events[i].Node, Revision: pairOf(c.nodes[events[i].ID()].target)}
	}
	c.proxyEvents(events)
	c.tick()
	c.disk()
}
