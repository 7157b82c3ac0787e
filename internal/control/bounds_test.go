package control

import (
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/xds"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// passBy has proxies with ids of their own come, take what they are given or refuse
// it, show something, and leave for good.
func (c *Control) passBy(first, n int) {
	var events []xds.Event
	put := func(kind xds.EventKind, i int, e xds.Event) {
		e.Kind, e.Node = kind, node(first+i)
		events = append(events, e)
	}
	flush := func() {
		c.proxyEvents(events)
		events = nil
	}
	for i := range n {
		put(xds.Connected, i, xds.Event{Fresh: i%2 == 0})
		put(xds.HealthOpened, i, xds.Event{})
	}
	flush()
	for range 3 {
		for i := range n {
			a := c.nodes[node(first+i).GetId()].target
			switch {
			case i%3 > 0 && a.Live == c.fleets["edge"].rollout.Serving.ID && a.Shadow == "":
				put(xds.Rejected, i, xds.Event{Revision: pairOf(a), Resource: "Listener ingress", Message: "no"})
			default:
				put(xds.Served, i, xds.Event{Revision: pairOf(a)})
			}
			put(xds.Counted, i, xds.Event{Counters: xds.Counters{Requests: 10}})
		}
		flush()
		c.tick()
	}
	for i := range n {
		put(xds.HealthClosed, i, xds.Event{})
		put(xds.Disconnected, i, xds.Event{})
	}
	flush()
	c.disk()
}

// heap is what is in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// No table of the loop grows with what has left: twelve thousand proxies pass by,
// each with an id of its own, while a rollout lasts, to all of the fleet or to a part
// of it; then as many again. What is remembered of proxies that may come back is of
// ten thousand at most.
func TestTablesDoNotGrowWithWhatHasLeft(t *testing.T) {
	const crowd, batch = 12_000, 500
	for _, c := range []struct{ name, rollout string }{
		{"a rollout to all", "rollout: {limits: {disconnects: 1000000, troubled: 1}, stages: [{name: all, percent: 100, bake: 1h, deadline: 0s}]}\n"},
		{"a rollout to some", "rollout: {limits: {disconnects: 1000000, troubled: 1}, stages: [{name: some, percent: 10, bake: 1h, deadline: 0s}, {name: all, percent: 100}]}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			control := idle(t)
			change(t, control, fleetYAML)
			control.disk()
			control.accept(1_000_000, 1)
			control.tick()
			change(t, control, port("2")+c.rollout)
			control.disk()
			pass := func(round int) (map[string]int, uint64) {
				for i := 0; i < crowd; i += batch {
					control.passBy(round*crowd+i, batch)
				}
				return xdstest.Tables(control), heap()
			}
			before, heapBefore := pass(0)
			after, heapAfter := pass(1)
			entries := 0
			for _, path := range slices.Sorted(maps.Keys(after)) {
				entries += after[path]
				if after[path] > max(before[path]+before[path]/10+100, 10_000+batch) {
					t.Errorf("%s: %d after %d proxies, %d after %d", path, before[path], crowd, after[path], 2*crowd)
				}
			}
			t.Logf("%d entries and %.1f MB after %d ids, %.1f MB after %d", entries, float64(heapBefore)/1e6, crowd, float64(heapAfter)/1e6, 2*crowd)
			if r := control.fleets["edge"].rollout.Rollout; r == nil || len(control.nodes) != 1 {
				t.Errorf("%d proxies are connected; the rollout: %+v", len(control.nodes), r)
			}
		})
	}
}
