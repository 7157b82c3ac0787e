package rollout

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// world is a fleet and a model of its proxies, which do as they are told at random.
type world struct {
	t        *testing.T
	seed     uint64
	r        *rand.Rand
	f        *Fleet
	now      time.Time
	proxies  map[string]*model
	proven   map[string]bool // node/revision: its checks held in the shadow
	offered  int
	bad      map[string]bool // revisions whose checks fail
	accepted map[string]bool // node/revision: it accepted it live
	labels   bool            // plans have stages by label, and the disk may be late
	watches  bool            // what is served is watched, and may break
	broken   map[string]bool // revisions that broke once they were served
}

// model is what a proxy runs.
type model struct{ live, shadow string }

// Whatever happens, in whatever order: a rejected revision is no one's target; no
// more proxies of a stage have a candidate than it names; none has it live that
// has not proven it; the last good revision is one that all of its stages
// confirmed; and in the end every rollout ended, served or rolled back.
func TestInvariants(t *testing.T) {
	for seed := range uint64(400) {
		w := newWorld(t, seed)
		for range 400 {
			w.happen()
			w.check()
		}
		w.finish()
	}
}

func (w *world) step(e Event) {
	w.f.Step(e, w.now)
}

func (w *world) node() string { return fmt.Sprint("p", w.r.IntN(6)) }

func (w *world) happen() {
	w.now = w.now.Add(time.Duration(w.r.IntN(400)) * time.Millisecond)
	node := w.node()
	m := w.proxies[node]
	if w.watches {
		w.breaks(node)
	}
	switch w.r.IntN(14) {
	case 0:
		if w.r.IntN(4) == 0 {
			w.offer()
		}
	case 1:
		w.join(node, w.r.IntN(3) == 0)
	case 2:
		if m != nil && w.r.IntN(3) == 0 {
			w.step(Left{Node: node})
			delete(w.proxies, node)
		}
	case 3:
		if w.r.IntN(10) == 0 {
			w.step(Command{Verb: Verbs[w.r.IntN(len(Verbs))], By: "alice"})
		}
	case 4:
		if w.r.IntN(10) == 0 {
			w.restart()
		}
	case 5:
		if m != nil && w.r.IntN(30) == 0 {
			a := w.f.Target(node)
			w.step(Refused{Node: node, Live: a.Live, Shadow: a.Shadow})
		}
	case 6:
		if m != nil && w.r.IntN(8) == 0 {
			a := w.f.Target(node)
			w.step(Troubled{Node: node, Live: a.Live, Shadow: a.Shadow, Reason: "its port is in use"})
		}
	case 7:
		w.step(Tick{})
	case 8, 9, 10:
		w.serve(node)
	default:
		w.report(node)
	}
}

// another is the id of a content that there was not before. A third of them are bad.
func (w *world) another() string {
	w.offered++
	id := fmt.Sprint("r", w.offered)
	w.bad[id] = w.r.IntN(3) == 0
	return id
}

func (w *world) offer() {
	id := w.another()
	if w.r.IntN(5) == 0 && w.offered > 1 {
		id = fmt.Sprint("r", 1+w.r.IntN(w.offered-1))
	}
	plan := defaultPlan()
	plan.Stages = []Stage{
		{Name: "canary", Proxies: 1, Bake: time.Second, Deadline: time.Minute},
		{Name: "half", Percent: 50, Bake: time.Second, Deadline: time.Minute},
		{Name: "all", Percent: 100, Deadline: time.Minute},
	}
	if w.labels {
		plan = w.labelledPlan()
	}
	if w.watches {
		w.watchPlan(&plan)
	}
	w.step(Offered{ID: id, Plan: plan})
	if !w.labels || w.r.IntN(3) > 0 {
		w.step(Stored{id})
	}
}

func (w *world) join(node string, fresh bool) {
	if w.proxies[node] == nil || fresh {
		w.proxies[node] = &model{}
	}
	attributes := map[string]string{"id": node}
	if w.labels {
		attributes["label.track"] = fmt.Sprint(w.r.IntN(4))
	}
	j := Joined{Node: node, Attributes: attributes, Health: true, Fresh: fresh}
	if w.labels && w.r.IntN(4) == 0 {
		j.Base = "other/x" // it comes from another fleet
	}
	w.step(j)
	w.step(Health{Node: node, Open: true})
}

func (w *world) serve(node string) {
	m, a := w.proxies[node], w.f.Target(node)
	if m == nil || a.Live == "" && a.Shadow == "" {
		return
	}
	m.live, m.shadow = a.Live, a.Shadow
	w.accepted[node+"/"+a.Live] = true
	w.step(Served{Node: node, Live: a.Live, Shadow: a.Shadow})
}

func (w *world) report(node string) {
	a := w.f.Target(node)
	if w.proxies[node] == nil || a.Probe == ProbeNone {
		return
	}
	w.step(answered(node, a, !w.bad[a.Of] && !w.broken[a.Of], w.proven))
}

// answered is what a proxy says of the probe that it is asked; what it has proven so is noted.
func answered(node string, a Assignment, passed bool, proven map[string]bool) Probed {
	if passed && a.Probe == ProbeShadow {
		proven[node+"/"+a.Of] = true
	}
	return Probed{Node: node, Of: a.Of, Probe: a.Probe, Passed: passed}
}

func (w *world) restart() {
	restart(w.t, w.f)
	if r := w.f.Rollout; r != nil {
		w.step(Stored{r.Candidate.ID})
	}
	for node := range w.proxies {
		w.join(node, false)
	}
}

func (w *world) check() {
	w.t.Helper()
	fail := func(format string, args ...any) {
		w.t.Helper()
		w.t.Fatalf("seed %d: %s", w.seed, fmt.Sprintf(format, args...))
	}
	rejected := map[string]bool{}
	for _, r := range w.f.Rejected {
		rejected[r.ID] = true
	}
	members := 0
	for node := range w.proxies {
		a := w.f.Target(node)
		if rejected[a.Live] || rejected[a.Shadow] {
			fail("rejected revision is a target: %+v", a)
		}
		r := w.f.Rollout
		if r == nil {
			if w.watched(a) {
				a.Probe, a.Of, a.Again = ProbeNone, "", 0
			}
			if a != (Assignment{Live: cmp.Or(w.f.Serving.ID, w.f.Opened[node])}) {
				fail("nothing is rolled out, and %s is to have %+v", node, a)
			}
			continue
		}
		if w.f.TroubleOf(node).Reason == "" && (a.Live == r.Candidate.ID || a.Shadow == r.Candidate.ID) {
			members++ // of one in trouble another has the place
		}
		if a.Live == r.Candidate.ID && !w.proven[node+"/"+a.Live] {
			fail("%s is to serve %s without having proven it", node, a.Live)
		}
	}
	if r := w.f.Rollout; r != nil && !w.watches { // there a proxy may be over its trouble when another has its place
		most := []int{1, max(1, len(w.proxies)/2), 6}[min(r.Stage, 2)]
		if len(r.Plan.Stages) == 1 {
			most = 6
		}
		// The fleet may have been larger when the stage's proxies were chosen.
		if most = max(most, map[int]int{1: 3}[r.Stage]); members > most {
			fail("%d proxies of stage %d have the candidate, at most %d may", members, r.Stage, most)
		}
	}
	if id := w.f.Serving.ID; w.bad[id] {
		fail("%s fails its checks, and is served", id)
	}
}

// finish lets everything that is under way come to its end.
func (w *world) finish() { w.comesToAnEnd(w.step, w.serve, w.report, w.check) }

func (w *world) comesToAnEnd(step func(Event), serve, report func(node string), check func()) {
	step(Command{Verb: Resume, By: "alice"})
	for range 4000 {
		w.now = w.now.Add(tickEvery)
		step(Tick{})
		for node := range w.proxies {
			serve(node)
			report(node)
		}
		check()
		if w.f.Rollout == nil {
			return
		}
	}
	if len(w.proxies) > 0 {
		w.t.Fatalf("seed %d: the rollout does not end: %+v", w.seed, w.f.Rollout)
	}
}
