package deliver

import (
	"testing"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// own is a name as who speaks of its fleet says it.
func own(name snapshot.Ref) snapshot.Ref { return snapshot.Ref{ID: name.ID} }

// What is given to many is made once, and named by what it is made of.
func TestOneCompositionForAll(t *testing.T) {
	d, s, kept := world(t)
	live, next := own(kept.put("edge", build(t, ingress, "1"))), own(kept.put("edge", build(t, ingress, "2")))
	has := snapshot.Pair{Live: live, Shadow: next}
	for _, id := range []string{"a", "b"} {
		d.Give(Order{Node: id, Fleet: "edge", Home: "edge", Has: has})
	}
	a, b := s.targets["a"], s.targets["b"]
	if a.Snapshot == nil || a.Snapshot != b.Snapshot {
		t.Fatalf("they are given %v and %v", a.Snapshot, b.Snapshot)
	}
	if a.Snapshot.Pair != has || a.Snapshot.ID != live.ID+"~"+next.ID {
		t.Errorf("it is named %v, %s", a.Snapshot.Pair, a.Snapshot.ID)
	}
	if a.Fleet != "edge" || a.Home != "edge" || a.Confirmed || a.Before != nil {
		t.Errorf("%+v", a)
	}
	d.Anew("edge")
	d.Give(Order{Node: "b", Fleet: "edge", Home: "edge", Has: has, Confirmed: true})
	if b := s.targets["b"]; b.Snapshot == a.Snapshot || !b.Confirmed {
		t.Errorf("what was composed before is kept, or it is not confirmed: %+v", b)
	}
	if got := len(d.composer.made); got != 1 {
		t.Errorf("%d fleets are remembered", got)
	}
}

// Of a live revision that is not known the proxy keeps what it has; without a shadow that is
// not known it is given the rest, and does not say that it had it.
func TestWhatIsNotKnown(t *testing.T) {
	d, s, kept := world(t)
	live := own(kept.put("edge", build(t, ingress, "1")))
	gone := snapshot.Ref{ID: "gone"}
	for _, c := range []struct{ has, want snapshot.Pair }{
		{snapshot.Pair{Live: gone, Shadow: live}, snapshot.Pair{}},
		{snapshot.Pair{Live: snapshot.Ref{Fleet: "other", ID: live.ID}}, snapshot.Pair{}},
		{snapshot.Pair{Live: live, Shadow: gone}, snapshot.Pair{Live: live}},
		{snapshot.Pair{Shadow: live}, snapshot.Pair{Shadow: live}},
		{snapshot.Pair{}, snapshot.Pair{}},
	} {
		d.Give(Order{Node: "a", Fleet: "edge", Has: c.has})
		got := snapshot.Pair{}
		if snap := s.targets["a"].Snapshot; snap != nil {
			got = snap.Pair
		}
		if got != c.want {
			t.Errorf("of %v it is given %v, want %v", c.has, got, c.want)
		}
	}
}

// A proxy on its way to another fleet has what it runs, which is good, and that fleet's
// candidate in its shadow.
func TestOnItsWayToAnotherFleet(t *testing.T) {
	d, s, kept := world(t)
	base := kept.put("edge", build(t, ingress, "1"))
	next := own(kept.put("inner", build(t, ingress, "2")))
	has := snapshot.Pair{Live: base, Shadow: next}
	d.Give(Order{Node: "a", Fleet: "inner", Home: "edge", Has: has, Before: []snapshot.Pair{{Live: base}, has, {Live: snapshot.Ref{ID: "gone"}}}})
	got := s.targets["a"]
	if got.Snapshot.Pair != has || got.Snapshot.ID != "edge/"+base.ID+"~"+next.ID {
		t.Errorf("it is given %v, named %s", got.Snapshot.Pair, got.Snapshot.ID)
	}
	if got.Fleet != "edge" || got.Home != "edge" || !got.Confirmed {
		t.Errorf("whose it is: %+v", got)
	}
	if len(got.Before) != 2 || got.Before[0].Pair.Live != base || got.Before[1] != got.Snapshot {
		t.Errorf("what it may have: %v", got.Before)
	}
	if want := got.Snapshot.VMs(); d.VMs("inner", has) != want || want == 0 || d.VMs("inner", snapshot.Pair{Live: next, Shadow: own(base)}) != 1 {
		t.Errorf("%d VMs, want %d", d.VMs("inner", has), want)
	}
	if d.VMs("nobody", snapshot.Pair{Live: next}) != 0 {
		t.Error("what is not known has VMs")
	}
}

// What a rejected first revision opened is closed by what is known to be good.
func TestRejectedFirstRevision(t *testing.T) {
	d, s, kept := world(t)
	name := kept.put("edge", build(t, ingress, "1"))
	closed := snapshot.Pair{Live: snapshot.Ref{ID: snapshot.ClosedID(name.ID)}}
	for _, id := range []string{"a", "b"} {
		d.Give(Order{Node: id, Fleet: "edge", Home: "edge", Has: closed})
	}
	got := s.targets["a"]
	if got.Snapshot == nil || !got.Snapshot.Closes || !got.Confirmed || got.Snapshot.Pair != closed || s.targets["b"].Snapshot != got.Snapshot {
		t.Fatalf("it is given %+v", got)
	}
	delete(kept, name)
	d.Give(Order{Node: "a", Fleet: "edge", Home: "edge", Has: closed})
	if s.targets["a"].Snapshot != got.Snapshot {
		t.Error("what was made is not remembered")
	}
	d.Anew("edge")
	d.Give(Order{Node: "a", Fleet: "edge", Home: "edge", Has: closed})
	if s.targets["a"].Snapshot != nil || len(d.composer.closings) != 0 {
		t.Error("nobody knows what it is, and it is given")
	}
}

// The same revision comes anew with other checks, under the name it had: what was composed
// of the one before is not given any more.
func TestRevisionAnew(t *testing.T) {
	d, s, kept := world(t)
	before := build(t, ingress, "1")
	name := kept.put("edge", before)
	o := Order{Node: "a", Fleet: "edge", Has: snapshot.Pair{Live: own(name)}, Ask: Ask{Through: xds.ThroughLive, Of: name.ID}}
	d.Give(o)
	asked := s.plans["a"].ID
	after := build(t, ingress, "1", `token: "7"`, `token: "11"`)
	if after.ID != before.ID {
		t.Fatal("it is another revision")
	}
	kept.put("edge", after)
	d.Give(o)
	if got := s.targets["a"].Snapshot; len(got.Meta.Checks) != 2 || got.Meta.Checks[0].Headers[0].Value != "11" {
		t.Errorf("it has the checks %+v", got.Meta.Checks)
	}
	if got := s.plans["a"].ID; got == asked || got.Of != asked.Of {
		t.Errorf("what it is asked is named %v before and %v now", asked, got)
	}
}
