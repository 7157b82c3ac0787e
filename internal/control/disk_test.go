package control

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/store"
)

// disk waits for what is being written, and takes what came of it, until there is
// no more.
func (c *Control) disk() {
	for {
		c.writing.Wait()
		results := c.results.Take()
		if len(results) == 0 {
			return
		}
		for _, result := range results {
			result()
		}
	}
}

// change has a fleet file built and offered.
func change(t testing.TB, c *Control, text string) {
	t.Helper()
	if b := c.edit(t, 1, yaml(text)); b.Err != nil {
		t.Fatal(b.Err)
	}
}

func port(n string) string { return strings.Replace(fleetYAML, "port_value: 1", "port_value: "+n, 1) }

// revisionsOf are the revisions of a fleet in the state directory.
func revisionsOf(t *testing.T, c *Control) []string {
	t.Helper()
	names, err := c.Store.List(revisionFolder("edge"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What changes while a state is written is in the next one, and not in a queue of
// them: the loop goes on meanwhile.
func TestOneStateAtATime(t *testing.T) {
	c := idle(t)
	change(t, c, fleetYAML)
	c.disk()
	s := c.fleets["edge"]
	for i := range 50 {
		c.step(s, rollout.Unfit{Reason: strings.Repeat("x", i)})
	}
	if !s.writing || !s.dirty {
		t.Fatalf("writing %v, dirty %v: the first is to be under way, and the rest to wait", s.writing, s.dirty)
	}
	c.writing.Wait()
	if n := c.results.Len(); n != 1 {
		t.Errorf("%d states were written of 50 changes that no one waited for", n)
	}
	c.disk()
	data, err := c.Store.Load(fleetFileName("edge"))
	if err != nil || !strings.Contains(string(data), strings.Repeat("x", 49)) || s.dirty {
		t.Errorf("the newest state is not on disk: %v, dirty %v", err, s.dirty)
	}
}

// A revision that is wanted again while it is removed is on disk in the end.
func TestRevisionComesBackWhileItIsRemoved(t *testing.T) {
	c := idle(t)
	change(t, c, fleetYAML)
	c.disk()
	first := c.fleets["edge"].candidate().ID
	change(t, c, port("2"))
	c.writing.Wait() // the second revision
	c.written()      // begins the state that does not name the first
	if s := c.fleets["edge"]; !s.removing[first] {
		t.Fatalf("the first revision is not being removed: saving %v, removing %v", s.storing, s.removing)
	}
	change(t, c, fleetYAML)
	c.disk()
	if s := c.fleets["edge"]; s.candidate().ID != first {
		t.Fatalf("the candidate is %s, want %s", s.candidate().ID, first)
	}
	if got := revisionsOf(t, c); len(got) != 1 || got[0] != first+".pb" {
		t.Errorf("on disk are %v, want %s.pb", got, first)
	}
}

// A disk that takes nothing is said, once; what it did not take is tried again,
// and is there when it does.
func TestDiskThatFailsAndHeals(t *testing.T) {
	c, path := idleIn(t, t.TempDir())
	records, unsubscribe, _ := c.feed.subscribe("") // "" is understood
	defer unsubscribe()
	for _, folder := range []string{"fleets", "revisions"} { // no folder can be made where a file is
		if err := os.WriteFile(filepath.Join(path, folder), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change(t, c, fleetYAML)
	c.accept(0, 1)
	c.disk()
	status := c.status(0).Fleets[0]
	if !strings.Contains(status.Unsaved, "storing") || status.UnsavedSince.IsZero() {
		t.Errorf("the status does not say that nothing is stored: %+v", status)
	}
	if status.Serving.ID != "" {
		t.Errorf("a revision is good that is not on disk")
	}
	if h := status.WaitsFor; h == nil || !strings.Contains(h.Text, status.Unsaved) {
		t.Errorf("what the rollout waits for is not said: %+v", h)
	}
	s := c.fleets["edge"]
	due := func() { // as if the time had passed
		s.disk.retryAt = time.Now()
		c.tick()
		c.disk()
	}
	due()
	if s.disk.reason == "" {
		t.Error("a retry that failed healed it")
	}
	for _, folder := range []string{"fleets", "revisions"} {
		if err := os.Remove(filepath.Join(path, folder)); err != nil {
			t.Fatal(err)
		}
	}
	due()
	if status := c.status(0).Fleets[0]; status.Unsaved != "" || status.Serving.ID == "" {
		t.Errorf("the disk is well, and the status says %+v", status)
	}
	if _, err := c.Store.Load(fleetFileName("edge")); err != nil {
		t.Error(err)
	}
	if got := revisionsOf(t, c); len(got) != 1 {
		t.Errorf("on disk are %v, want one revision", got)
	}
	said := map[api.EventKind]int{}
	for len(records) > 0 {
		said[(<-records).Kind]++
	}
	if said[api.EventUnsaved] != 1 || said[api.EventSaved] != 1 {
		t.Errorf("said %v, want unsaved and saved, once each", said)
	}
}

// A command is answered when the state that has it is on disk, or when the disk
// has failed.
func TestCommandIsAnsweredWhenSaved(t *testing.T) {
	c := idle(t)
	change(t, c, fleetYAML)
	c.disk()
	r := request{command: api.Command{Verb: rollout.Pause, By: "ann"}, reply: make(chan error, 1)}
	c.take(r)
	select {
	case err := <-r.reply:
		t.Fatalf("answered before it is stored: %v", err)
	default:
	}
	c.disk()
	select {
	case err := <-r.reply:
		if err != nil {
			t.Error(err)
		}
	default:
		t.Error("it is stored, and not answered")
	}
	if data, err := c.Store.Load(fleetFileName("edge")); err != nil || !strings.Contains(string(data), `"paused": true`) {
		t.Errorf("not in the state: %v", err)
	}
	r = request{command: api.Command{Verb: rollout.Pause, By: "ann"}, reply: make(chan error, 1)}
	if c.take(r); !errors.Is(<-r.reply, ErrRefused) {
		t.Error("it was paused twice")
	}
}

// What the status says is on disk when a person is told: a crash does not take it back.
func TestStatusIsToldWhenSaved(t *testing.T) {
	c := idle(t)
	change(t, c, fleetYAML)
	c.disk()
	c.step(c.fleets["edge"], rollout.Command{Verb: rollout.Abort, By: "ann"})
	s, stored := c.show(0)
	if len(s.Fleets[0].Rejected) != 1 {
		t.Fatalf("it is not rejected: %+v", s.Fleets[0])
	}
	select {
	case <-stored:
		t.Fatal("it is told before it is stored")
	default:
	}
	c.disk()
	<-stored
	if data, err := c.Store.Load(fleetFileName("edge")); err != nil || !strings.Contains(string(data), "aborted by ann") {
		t.Errorf("not in the state: %v", err)
	}
}

// Revisions that no state names are removed with the next state.
func TestLeftoverRevisionsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	c, _ := idleIn(t, dir)
	change(t, c, fleetYAML)
	c.disk()
	if err := c.Store.Save(revisionFile("edge", "left"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.Store.(*store.Dir).Close(); err != nil {
		t.Fatal(err)
	}
	c, _ = idleIn(t, dir)
	c.step(c.fleets["edge"], rollout.Unfit{Reason: "so that there is something to save"})
	c.disk()
	if _, err := c.Store.Load(revisionFile("edge", "left")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if got := revisionsOf(t, c); len(got) != 1 {
		t.Errorf("on disk are %v, want the candidate", got)
	}
}
