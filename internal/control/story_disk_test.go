package control_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// The server is killed in the middle of a rollout: the next one goes on where it was, and
// gives no proxy anything that it has.
func TestRestartInTheMiddle(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a", "b")
		save(w, 2, staged)
		w.Pass(5 * time.Second) // the canary has flipped, and bakes
		before := w.Fleet("edge")
		served := map[string]rollout.Revision{"a": w.Node("a").Served, "b": w.Node("b").Served}
		if served["a"] == served["b"] {
			t.Fatalf("one was to have flipped: %+v", served)
		}
		w.Restart()
		w.Pass(time.Second)
		after := w.Fleet("edge")
		if after.Candidate != before.Candidate || after.Rollout == nil || after.Rollout.Stage != before.Rollout.Stage {
			t.Errorf("it goes on with %+v, was at %+v", after.Rollout, before.Rollout)
		}
		for id, want := range served {
			if got := w.Node(id).Served; got != want {
				t.Errorf("%s has %+v after the restart, had %+v", id, got, want)
			}
		}
		if !strings.Contains(w.Logged(), "goes on with a rollout") {
			t.Error("the log does not say so")
		}
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Serving != before.Candidate {
			t.Errorf("in the end %+v is served", f.Serving)
		}
	})
}

// A disk that takes nothing: nothing new becomes good, why is said once, in the log, the
// status and what is waited for; proxies keep what they have; and it goes on by itself.
func TestDiskThatIsFull(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		good := w.Fleet("edge").Serving
		w.Store.Fail(true)
		save(w, 2, staged)
		w.Pass(time.Minute)
		f := w.Fleet("edge")
		if f.Serving != good || !strings.Contains(f.Unsaved, controltest.ErrDisk.Error()) || f.UnsavedSince.IsZero() {
			t.Errorf("%+v", f)
		}
		if h := f.WaitsFor; h == nil || h.Kind != rollout.WaitDisk || !strings.Contains(h.Text, controltest.ErrDisk.Error()) {
			t.Errorf("it waits for %+v", h)
		}
		if got := w.Says(api.EventUnsaved); len(got) != 1 {
			t.Errorf("said %d times: %q", len(got), got)
		}
		w.Store.Fail(false)
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Serving.Number != 2 || f.Unsaved != "" || len(w.Says(api.EventSaved)) != 1 {
			t.Errorf("healed: %+v", f)
		}
	})
}

// A disk that hangs holds no proxy up, and nobody who asks for longer than a person waits.
func TestDiskThatHangs(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a", "b")
		release := w.Store.Hang()
		defer release()
		save(w, 2, staged)
		w.Pass(3 * time.Second)
		began := time.Now()
		if err := w.Do(t.Context(), api.Command{Verb: rollout.Pause, By: "ann"}); err != nil {
			t.Error(err)
		}
		w.Status()
		if took := time.Since(began); took != 6*time.Second { // three for each of the two
			t.Errorf("they took %s", took)
		}
		if n := w.Node("a"); n.Served.Number == 0 {
			t.Errorf("a proxy waits for the disk: %+v", n)
		}
		release()
		w.Pass(time.Second)
		began = time.Now()
		if f := w.Fleet("edge"); f.Rollout == nil || !f.Rollout.Paused || time.Since(began) != 0 {
			t.Errorf("after %s: %+v", time.Since(began), f.Rollout)
		}
	})
}

// The server ends with a disk that takes nothing, or hangs: it says that the last state is
// not stored, and ends all the same.
func TestEndWithoutADisk(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		w.Store.Fail(true)
		save(w, 2, staged)
		w.Stop()
		if !strings.Contains(w.Logged(), "the last state is not stored") {
			t.Error("nobody says so")
		}
	})
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		release := w.Store.Hang()
		save(w, 2, staged)
		began := time.Now()
		w.Stop()
		if !strings.Contains(w.Logged(), "the disk takes nothing") || time.Since(began) != 10*time.Second {
			t.Errorf("it ended after %s", time.Since(began))
		}
		release()
	})
}

// What is damaged in the state directory is put aside and said, and the rest goes on:
// without what was served there is nothing to take from a proxy either.
func TestDamagedRevision(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		w.Store.Damage("revisions/")
		given := len(w.Proxy("a").Given)
		w.Restart()
		if aside := w.Store.Aside(); len(aside) != 1 || !strings.HasPrefix(aside[0], "revisions/edge/") {
			t.Errorf("put aside are %v", aside)
		}
		if !strings.Contains(w.Logged(), "can't be read: it goes on without") {
			t.Error("the log does not say so")
		}
		w.Pass(time.Minute) // it is on disk, and tried as a first revision
		if f := w.Fleet("edge"); f.Serving.ID == "" {
			t.Errorf("%+v", f)
		}
		for _, g := range w.Proxy("a").Given[given:] {
			if !strings.Contains(g, w.Fleet("edge").Serving.ID) {
				t.Errorf("it was given %s", g)
			}
		}
	})
}

// Old revisions that can't be removed are said, stay, and go with a later state; a person can
// go back to those that are kept, and to no other.
func TestOldRevisions(t *testing.T) {
	controltest.Run(t, func(c *control.Config) { c.KeepRevisions = 2 }, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		w.Store.Keep(true)
		for port := 2; port <= 5; port++ {
			save(w, port, staged)
			w.Pass(time.Minute)
		}
		if f := w.Fleet("edge"); f.Serving.Number != 5 || len(f.Kept) != 2 {
			t.Fatalf("%+v", f)
		}
		if names := w.Store.Names("revisions/"); len(names) != 5 || !strings.Contains(w.Logged(), "old revisions stay in the state directory") {
			t.Errorf("on disk are %v", names)
		}
		w.Store.Keep(false)
		do(t, w, api.Command{Verb: rollout.Undo, To: 3})
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Serving.Number != 3 || w.Node("a").Served != f.Serving {
			t.Errorf("undo: %+v", f)
		}
		if names := w.Store.Names("revisions/"); len(names) > 4 {
			t.Errorf("on disk are still %v", names)
		}
		if err := w.Do(t.Context(), api.Command{Verb: rollout.Undo, To: 1}); !errors.Is(err, control.ErrRefused) {
			t.Errorf("undo to one that is not kept: %v", err)
		}
	})
}

// A fleet's file is gone: the fleet is retired after its grace, keeps its proxies as they
// are, can't be forgotten while they run it, and is deleted when they have left.
func TestFleetThatIsForgotten(t *testing.T) {
	controltest.Run(t, func(c *control.Config) { c.Grace = time.Hour }, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		has := w.Node("a").Served
		if err := w.Do(t.Context(), api.Command{Fleet: "edge", Verb: api.VerbForget}); err == nil || !strings.Contains(err.Error(), "is not retired") {
			t.Errorf("a fleet in use is forgotten: %v", err)
		}
		w.Save(map[string]string{"edge.yaml": controltest.Gone})
		w.Pass(30 * time.Minute)
		if f := w.Fleet("edge"); f.Retired != nil || !slices.ContainsFunc(f.Notices, func(n string) bool { return strings.Contains(n, "it is retired in 30m0s") }) {
			t.Errorf("half of its grace is over: %v, %q", f.Retired, f.Notices)
		}
		w.Pass(31 * time.Minute)
		f := w.Fleet("edge")
		if f.Retired == nil || w.Node("a").Served != has || f.Disk.State != api.DiskNothing {
			t.Errorf("retired %v, the proxy has %+v", f.Retired, w.Node("a").Served)
		}
		if err := w.Do(t.Context(), api.Command{Fleet: "edge", Verb: api.VerbRetire}); err == nil {
			t.Error("it is retired twice")
		}
		if err := w.Do(t.Context(), api.Command{Fleet: "edge", Verb: api.VerbForget}); err == nil || !strings.Contains(err.Error(), "1 proxy (a) run what fleet edge serves") {
			t.Errorf("it is forgotten under its proxy: %v", err)
		}
		w.Restart()
		w.Proxies.Disconnect("a")
		w.Pass(time.Second)
		if err := w.Do(t.Context(), api.Command{Fleet: "edge", Verb: api.VerbForget}); err != nil {
			t.Fatal(err)
		}
		w.Pass(time.Second)
		if names := w.Store.Names(""); len(names) > 0 || len(w.Status().Fleets) > 0 || len(w.Says(api.EventForgotten)) != 1 {
			t.Errorf("left are %v, and the status has %+v", names, w.Status().Fleets)
		}
	})
}

// A person retires a fleet whose file stays: what is saved of it then is not served, until
// the file is another.
func TestFleetRetiredByAPerson(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		release := w.Source.Hold()
		save(w, 2, staged)
		if f := w.Fleet("edge"); !f.Pending || f.WaitsFor == nil || f.WaitsFor.Kind != api.WaitReading || f.Disk.State != api.DiskReading {
			t.Errorf("it is being tried: %+v", f)
		}
		if err := w.Do(t.Context(), api.Command{Fleet: "edge", Verb: api.VerbRetire, By: "ann", Why: "moved to another house"}); err != nil {
			t.Fatal(err)
		}
		release()
		w.Pass(time.Minute)
		f := w.Fleet("edge")
		if f.Serving.Number != 1 || f.Candidate.ID != "" || f.Retired == nil || f.Retired.By != "ann" || f.Pending {
			t.Errorf("%+v", f)
		}
		if err := w.Do(t.Context(), api.Command{Fleet: "edge", Verb: api.VerbForget}); err == nil || !strings.Contains(err.Error(), "has a file, edge.yaml") {
			t.Errorf("its file is there: %v", err)
		}
		w.Restart()
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Retired == nil || f.Candidate.ID != "" {
			t.Errorf("after a restart: %+v", f)
		}
		save(w, 3, staged)
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Retired != nil || f.Serving.Number != 2 || len(w.Says(api.EventTakenUp)) != 1 {
			t.Errorf("it is not taken up: %+v", f)
		}
	})
}

// The source knows what is served, over a restart too, to compare filters with; what one is
// no worse in than that is a notice, for as long as it is on disk.
func TestWarningsOfABuild(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		first := w.Fleet("edge").Serving.ID
		if got := w.Source.Served("edge.yaml"); got != first {
			t.Errorf("the source was told that %q is served, not %q", got, first)
		}
		w.Source.Warn(errors.New("edge.yaml:3: it traps, as what is served does"))
		save(w, 2, staged)
		w.Pass(time.Minute)
		second := w.Fleet("edge")
		if second.Serving.ID == first || !slices.ContainsFunc(second.Notices, func(n string) bool { return strings.Contains(n, "it traps") }) {
			t.Errorf("serving %v, notices %q", second.Serving, second.Notices)
		}
		if got := w.Says(api.EventNotice); len(got) != 1 {
			t.Errorf("said %d times: %q", len(got), got)
		}
		w.Restart()
		if got := w.Source.Served("edge.yaml"); got != second.Serving.ID {
			t.Errorf("after a restart the source was told that %q is served", got)
		}
		w.Source.Warn(nil)
		save(w, 3, staged)
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); len(f.Notices) > 0 {
			t.Errorf("still said: %q", f.Notices)
		}
	})
}
