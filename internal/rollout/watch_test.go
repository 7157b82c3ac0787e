package rollout

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// watched is whether a target is that of a proxy whose revision is watched.
func (w *world) watched(a Assignment) bool {
	return a.Probe == ProbeWatch && a.Of == w.f.Serving.ID && a.Live == a.Of && w.f.Watch.Plan.LiveChecks
}

func (w *world) watchPlan(plan *Plan) {
	plan.Watch = []time.Duration{0, 20 * time.Second, time.Hour}[w.r.IntN(3)]
	plan.OnEvidence = []string{"", "", OnEvidenceUndo, OnEvidenceReport}[w.r.IntN(4)]
}

// breaks has what is served break now and then, and a proxy count something.
func (w *world) breaks(node string) {
	f := w.f
	if id := f.Serving.ID; id != "" && w.r.IntN(100) == 0 {
		w.broken[id] = true
	}
	if w.r.IntN(3) > 0 || w.proxies[node] == nil {
		return
	}
	c := Counters{At: w.now, Requests: 10}
	if w.broken[w.proxies[node].live] {
		c.Crashes = 3
	}
	before, watch := f.Serving, f.Watch
	judged := f.Rollout == nil && watch != nil && f.proxies[node].traffic.flipped && !f.proxies[node].traffic.mixed &&
		f.proxies[node].accepted == Assignment{Live: before.ID}
	back, _ := (&step{Fleet: f}).before(charge{evidence: CrashedVMs})
	undoes := judged && watch.takesBack(CrashedVMs, w.now) && (back.ID != "" || !watch.Right)
	w.step(Counted{Node: node, Counters: c})
	switch crashes := c.Crashes > 0; {
	case judged && crashes && undoes && f.Serving == before:
		w.t.Fatalf("seed %d: %s crashes on %s, and is served on", w.seed, before.ID, node)
	case judged && crashes && !undoes && (f.Serving != before || f.Watch.Degraded == nil):
		w.t.Fatalf("seed %d: %s crashes on %s, and is not to be taken back: serving %s, degraded %v", w.seed, before.ID, node, f.Serving.ID, f.Watch.Degraded)
	}
}

// Whatever happens, in whatever order: what breaks once it is served is taken back
// where the plan says so, and else said; what does not break is not; and with
// evidence over, nothing is degraded.
func TestWatchInvariants(t *testing.T) {
	seen := map[Kind]int{}
	for w := range worlds(t, 100, func(w *world) { w.watches = true }) {
		for range 400 {
			w.happen()
			for _, node := range slices.Sorted(maps.Keys(w.proxies)) { // else nothing is ever served
				if w.r.IntN(2) == 0 {
					w.serve(node)
					w.report(node)
				}
			}
			w.check()
			w.checkWatch()
		}
		for _, e := range w.f.History {
			seen[e.Kind]++
		}
		w.heal()
	}
	for _, kind := range []Kind{DegradedNow, Recovered, TakenBack, WatchEnded, Stays} {
		if seen[kind] == 0 {
			t.Errorf("%q never happened: this test says nothing of it", kind)
		}
	}
	t.Logf("%v", seen)
}

func (w *world) checkWatch() {
	w.t.Helper()
	f := w.f
	if (f.Watch == nil) != (f.Serving.ID == "") {
		w.t.Fatalf("seed %d: serving %q, watch %+v", w.seed, f.Serving.ID, f.Watch)
	}
	if t := w.t; f.Watch != nil && f.Watch.Degraded == nil && len(f.symptoms) > 0 {
		t.Fatalf("proxies have evidence, and nothing is degraded: %v", f.symptoms)
	}
	for _, e := range f.History {
		if (e.Kind == TakenBack || e.Kind == DegradedNow) && !w.broken[e.Revision.ID] {
			w.t.Fatalf("seed %d: there was no evidence against %s: %+v", w.seed, e.Revision.ID, e)
		}
	}
	for node := range f.symptoms {
		if p := f.proxies[node]; p == nil || p.symptom == nil {
			w.t.Fatalf("seed %d: %s is said to have evidence", w.seed, node)
		}
	}
}

// heal mends what is broken: in the end nothing is degraded.
func (w *world) heal() {
	clear(w.broken)
	w.finish()
	for range 200 {
		w.now = w.now.Add(time.Second)
		w.step(Tick{})
		for node := range w.proxies {
			w.serve(node)
			w.report(node)
			w.step(Counted{Node: node, Counters: Counters{At: w.now, Requests: 10}})
		}
	}
	if f := w.f; len(w.proxies) > 0 && f.Rollout == nil && f.Watch != nil && f.Watch.Degraded != nil {
		w.t.Fatalf("seed %d: nothing is broken any more, and it is degraded: %+v", w.seed, f.Watch.Degraded)
	}
}

// One proxy's evidence is that proxy's: when it has left, and does not come back, the
// fleet is not degraded for ever; nor is a second one forgotten with the first.
func TestDegradedProxyLeaves(t *testing.T) {
	f, now := served(t, "a", "b")
	f.Watch.Until = time.Time{}
	crash := func(node string) {
		now = now.Add(time.Second)
		f.Step(Counted{Node: node, Counters: Counters{At: now, Requests: 5, Crashes: 1}}, now)
	}
	crash("a")
	crash("b")
	if d := f.Watch.Degraded; d == nil || d.Node != "a" {
		t.Fatalf("degraded: %+v", d)
	}
	f.Step(Left{Node: "a"}, now)
	f.Step(Tick{}, now)
	if d := f.Watch.Degraded; d == nil || d.Node != "b" {
		t.Errorf("b crashes still, and degraded is %+v", d)
	}
	f.Step(Left{Node: "b"}, now)
	f.Step(Tick{}, now.Add(lostSight/2))
	if f.Watch.Degraded == nil {
		t.Error("the proxy is away, and forgotten at once")
	}
	f.Step(Tick{}, now.Add(2*lostSight))
	if d := f.Watch.Degraded; d != nil {
		t.Errorf("degraded for a proxy that is long gone: %+v", d)
	}
}

// served is a fleet that serves a second revision, without checks, to some proxies.
func served(t *testing.T, nodes ...string) (*Fleet, time.Time) {
	t.Helper()
	f, now := &Fleet{}, epoch
	plan := defaultPlan()
	plan.Stages = []Stage{{Name: "all", Percent: 100, Deadline: time.Minute}}
	plan.ShadowChecks, plan.LiveChecks, plan.Watch = false, false, time.Hour
	for _, node := range nodes {
		f.Step(Joined{Node: node}, now)
	}
	for _, id := range []string{"one", "two"} {
		f.Step(Offered{ID: id, Plan: plan}, now)
		f.Step(Stored{id}, now)
		for range 4 {
			for _, node := range nodes {
				a := f.Target(node)
				f.Step(Served{Node: node, Live: a.Live, Shadow: a.Shadow}, now)
			}
		}
		for _, node := range slices.Concat(nodes, nodes) { // what comes with a flip is not counted
			now = now.Add(time.Second)
			f.Step(Counted{Node: node, Counters: Counters{At: now, Requests: 50}}, now)
		}
	}
	if f.Serving.ID != "two" {
		t.Fatalf("it serves %+v", f.Serving)
	}
	return f, now
}
