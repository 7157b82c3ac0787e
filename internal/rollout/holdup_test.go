package rollout

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// Wherever a rollout is, what it waits for is said: since when, and what ends it.
// And it does end it: when that time has come, or that command was given, it waits
// for something else, or is over.
func TestNothingWaitsInSilence(t *testing.T) {
	met := map[Wait]int{}
	for w := range worlds(t, 40, func(w *world) { w.labels = true }) {
		for range 400 {
			w.happen()
			w.holdUp(met)
			if w.r.IntN(25) == 0 {
				w.changeMeta()
				w.holdUp(met)
			}
			for _, node := range slices.Sorted(maps.Keys(w.proxies)) { // else a rollout seldom comes far
				if w.r.IntN(2) == 0 {
					w.serve(node)
					w.report(node)
				}
			}
			w.holdUp(met)
		}
	}
	for _, kind := range []Wait{
		WaitPaused, WaitNewer, WaitNoProxy, WaitEmpty, WaitAway, WaitJoining, WaitWarming, WaitProving, WaitFlipping, WaitConfirming,
		WaitBaking, WaitApproval, WaitDisk,
	} {
		if met[kind] == 0 {
			t.Errorf("%q was never met: this test says nothing of it", kind)
		}
	}
	t.Logf("met: %v", met)
}

func (w *world) holdUp(met map[Wait]int) {
	h := w.f.HoldUp(w.now)
	if h == nil {
		if w.f.Rollout != nil {
			w.t.Fatalf("seed %d: a rollout waits in silence: %+v", w.seed, w.f.Rollout)
		}
		return
	}
	met[h.Kind]++
	r := w.f.Rollout
	soon := w.f.HoldUp(w.now.Add(time.Duration(w.r.Int64N(int64(time.Minute))))) // asked between two ticks
	if soon.Kind == WaitDisk && (r.stored || r.Stage < len(r.Plan.Stages)-1) {
		w.t.Fatalf("seed %d: the disk is not what it waits for: %+v", w.seed, soon)
	}
	if h.Kind == "" || h.Since.IsZero() || h.Since.After(w.now) || h.Do == "" || !h.Until.IsZero() && h.Then == "" || !strings.Contains(h.Text, h.Do) {
		w.t.Fatalf("seed %d: a hold-up is not said in full: %+v", w.seed, h)
	}
	for _, node := range h.Nodes {
		if !strings.Contains(h.Text, node) {
			w.t.Fatalf("seed %d: %s is not named: %s", w.seed, node, h.Text)
		}
	}
	w.commandEnds(h)
	if !h.Until.IsZero() {
		w.timeEnds(h)
	}
}

// commandEnds gives the command that a hold-up names.
func (w *world) commandEnds(h *HoldUp) {
	f, words := copied(w.f), strings.Fields(h.Do)
	command := Command{Verb: Verb(words[2]), By: "alice", SkipEmpty: strings.HasSuffix(h.Do, "--skip-empty")}
	for _, e := range f.Step(command, w.now) {
		if a, ok := e.(Answer); ok && a.Refusal != "" {
			w.t.Fatalf("seed %d: `%s` ends this wait, it is said, and: %s\n%+v", w.seed, h.Do, a.Refusal, h)
		}
	}
	w.differs(f, h, w.now, "`"+h.Do+"`")
}

// timeEnds lets time pass, and nothing else.
func (w *world) timeEnds(h *HoldUp) {
	f, now := copied(w.f), w.now
	for n := 0; n < 2 || now.Before(h.Until.Add(2*tickEvery)); n++ {
		now = now.Add(max(tickEvery, h.Until.Sub(now)/2)) // Achilles, with long strides
		f.Step(Tick{}, now)
	}
	w.differs(f, h, now, "time")
}

func (w *world) differs(f *Fleet, h *HoldUp, now time.Time, by string) {
	after := f.HoldUp(now)
	if after != nil && after.Kind == h.Kind && after.Stage == h.Stage && !after.Since.After(h.Since) && after.Until.Equal(h.Until) && after.Count == h.Count {
		w.t.Fatalf("seed %d: %s does not end this wait:\n%+v\n%+v", w.seed, by, h, after)
	}
}

// copied is a fleet of its own, unexported fields included.
func copied(f *Fleet) *Fleet {
	out := reflect.New(reflect.TypeFor[Fleet]())
	copyInto(out.Elem(), reflect.ValueOf(f).Elem())
	return out.Interface().(*Fleet)
}

func copyInto(to, from reflect.Value) {
	switch from.Kind() {
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(from.Type().Elem()))
			copyInto(to.Elem(), from.Elem())
		}
	case reflect.Map:
		if !from.IsNil() {
			to.Set(reflect.MakeMap(from.Type()))
			for _, key := range from.MapKeys() {
				value := reflect.New(from.Type().Elem()).Elem()
				copyInto(value, readable(from.MapIndex(key)))
				to.SetMapIndex(key, value)
			}
		}
	case reflect.Slice:
		if !from.IsNil() {
			to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
			for i := range from.Len() {
				copyInto(to.Index(i), from.Index(i))
			}
		}
	case reflect.Struct:
		for i := range from.NumField() {
			copyInto(readable(to.Field(i)), readable(from.Field(i)))
		}
	default:
		to.Set(from)
	}
}

// readable is a field that reflection may read and set, exported or not.
func readable(v reflect.Value) reflect.Value {
	if !v.CanAddr() {
		addressable := reflect.New(v.Type()).Elem()
		addressable.Set(v)
		return addressable
	}
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}

// changeMeta offers what is tried or served once more, with another plan.
func (w *world) changeMeta() {
	id := w.f.Serving.ID
	if r := w.f.Rollout; r != nil {
		id = r.Candidate.ID
	}
	if id == "" {
		return
	}
	plan := w.labelledPlan()
	if w.f.Rollout == nil && w.r.IntN(2) == 0 {
		w.step(Offered{ID: id, Plan: plan, Move: true})
		return
	}
	plan.Checks = []string{fmt.Sprint("check", w.r.IntN(3))}
	w.step(Offered{ID: id, Plan: plan, Changed: []string{"checks", "stages"}})
}

// worlds are n of them, each with a seed of its own, set up as how says.
func worlds(t *testing.T, n uint64, how func(*world)) iter.Seq[*world] {
	return func(yield func(*world) bool) {
		for seed := range n {
			w := newWorld(t, seed)
			if how(w); !yield(w) {
				return
			}
		}
	}
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 0)), f: &Fleet{}, now: epoch,
		proxies: map[string]*model{}, proven: map[string]bool{}, bad: map[string]bool{}, accepted: map[string]bool{}, broken: map[string]bool{},
	}
}

// labelledPlan is one of many: stages by label, with and without an approval, a
// deadline, a bake, a shadow.
func (w *world) labelledPlan() Plan {
	plan := defaultPlan()
	plan.Shadow = w.r.IntN(4) > 0
	plan.ShadowChecks = plan.Shadow && w.r.IntN(4) > 0
	plan.Stages = nil
	for i := range w.r.IntN(3) {
		plan.Stages = append(plan.Stages, Stage{
			Name: fmt.Sprint("stage", i), Percent: float64(10 + w.r.IntN(91)), Match: w.label(),
			Bake: time.Duration(w.r.IntN(3)) * time.Second, Deadline: time.Duration(w.r.IntN(3)) * 20 * time.Second, Manual: w.r.IntN(4) == 0,
		})
	}
	plan.Stages = append(plan.Stages, Stage{Name: "all", Percent: 100, Deadline: time.Minute, Bake: time.Duration(w.r.IntN(2)) * time.Second})
	return plan
}

func (w *world) label() map[string]string {
	if w.r.IntN(3) == 0 {
		return nil
	}
	return map[string]string{"label.track": fmt.Sprint(w.r.IntN(3))}
}

// What was rejected for its surroundings says when it is tried again.
func TestRetryIsSaid(t *testing.T) {
	f := &Fleet{onDisk: "x", Rejected: []Rejection{{Revision: Revision{ID: "x", Number: 2}, Reason: "ports are in use", Surroundings: true, Tries: 3, At: epoch}}}
	h := f.Between(epoch.Add(time.Second))
	want := "revision 2 was rejected only for what is around it (ports are in use), for 1s now; in 7s it is tried again; `xds rollout retry` tries it now"
	if h == nil || h.Text != want || h.Kind != WaitRetry {
		t.Errorf("it is said: %+v, want %q", h, want)
	}
}
