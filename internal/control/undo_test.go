package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/watch"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// serves has a fleet's only proxy take what is on the given port.
func serves(t *testing.T, c *Control, port string) {
	t.Helper()
	change(t, c, strings.Replace(fleetYAML, "port_value: 1", "port_value: "+port, 1)+"rollout: {stages: [{name: all, percent: 100, bake: 0s}]}\n")
	c.disk()
	c.takes()
	c.disk()
	if s := c.fleets["edge"]; s.candidate().ID != "" || s.onDisk != s.rollout.Serving.ID {
		t.Fatalf("it is not served: %+v", s.rollout.Rollout)
	}
}

// takes has the proxy take what it is to have.
func (c *Control) takes() {
	if c.nodes["p-00000"] == nil {
		c.proxyEvents([]xds.Event{{Kind: xds.Connected, Node: node(0), Fresh: true}})
	}
	for range 2 {
		c.proxyEvents([]xds.Event{{Kind: xds.Served, Node: node(0), Revision: pairOf(c.nodes["p-00000"].target)}})
	}
}

// answering has the loop's part of a command done, for one that does not run.
func answering(t *testing.T, c *Control, command api.Command) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- c.Do(t.Context(), command) }()
	for {
		select {
		case read := <-c.reads:
			read()
		case r := <-c.commands:
			c.take(r)
			c.disk()
		case err := <-done:
			return err
		}
	}
}

// Revisions that were served are kept on disk, as many as is said, and all but the
// previous one there alone. Undo goes back to one by its number; to one that is gone,
// or damaged, it does not, and what is served stays.
func TestKeptRevisions(t *testing.T) {
	c, dir := idleIn(t, t.TempDir())
	c.KeepRevisions = 3
	for port := 1; port <= 6; port++ {
		serves(t, c, strconv.Itoa(port))
	}
	s := c.fleets["edge"]
	if got := revisionsOf(t, c); len(got) != 4 {
		t.Errorf("%d revisions are on disk, want what is served and 3 before it: %v", len(got), got)
	}
	if len(s.snapshots) != 2 {
		t.Errorf("%d revisions are in memory, want what is served and the one before", len(s.snapshots))
	}
	if err := answering(t, c, api.Command{Verb: rollout.Undo, To: 2, By: "ann"}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "are 5, 4, 3") {
		t.Errorf("undo to one that is not kept: %v", err)
	}
	damaged := filepath.Join(dir, revisionFile("edge", s.rollout.Kept()[1].ID))
	if err := os.WriteFile(damaged, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := answering(t, c, api.Command{Verb: rollout.Undo, To: 4, By: "ann"}); !errors.Is(err, ErrRefused) || s.rollout.Serving.Number != 6 {
		t.Errorf("undo to one that is damaged: %v, and revision %d is served", err, s.rollout.Serving.Number)
	}
	if err := answering(t, c, api.Command{Verb: rollout.Undo, To: 3, By: "ann"}); err != nil || s.rollout.Serving.Number != 3 {
		t.Fatalf("undo: %v, and revision %d is served", err, s.rollout.Serving.Number)
	}
	c.takes()
	if got := c.nodes["p-00000"].target.Live; got != s.rollout.Serving.ID || s.snapshots[got] == nil {
		t.Errorf("the proxy is to have %s", got)
	}
	if state, why := s.cameOf(s.onDisk); state != api.DiskUndone || why != "undone by ann" {
		t.Errorf("what is on disk is said to be %s: %s", state, why)
	}
	c.disk()
	again, err := open(t, copyOf(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	kept := again.fleets["edge"].rollout.Kept()
	if again.fleets["edge"].rollout.Serving != s.rollout.Serving || len(kept) != 3 {
		t.Errorf("after a restart %v is served, and %v are kept", again.fleets["edge"].rollout.Serving, kept)
	}
}

// Each save has an event that says what came of it.
func TestEachSaveHasAnEvent(t *testing.T) {
	c := idle(t)
	records, stop, _ := c.Subscribe("") // "" is understood
	defer stop()
	last := func() api.Event {
		var last api.Event
		for {
			select {
			case last = <-records:
			default:
				return last
			}
		}
	}
	serves(t, c, "1")
	last()
	good := fleetYAML + "rollout: {stages: [{name: all, percent: 100, bake: 0s}]}\n"
	for _, save := range []struct {
		what, text string
		kind       api.EventKind
		says       string
	}{
		{"a comment", good + "# more\n", rollout.Unchanged, "the revision that is served: nothing changes"},
		{"only its rollout", strings.Replace(good, "bake: 0s", "bake: 1s", 1), rollout.Replanned, "only stages changed"},
		{"a mistake", "flet: edge\n", api.EventProblem, "fleet.yaml:1"},
		{"the same mistake", "flet: edge\n\n", api.EventProblem, "fleet.yaml:1"},
		{"mended", good, rollout.Replanned, "only stages changed"},
	} {
		if fails := save.kind == api.EventProblem; fails {
			c.edit(t, 0, yaml(save.text))
		} else {
			change(t, c, save.text)
		}
		if r := last(); r.Kind != save.kind || !strings.Contains(r.Message, save.says) {
			t.Errorf("%s: the last event is %+v", save.what, r)
		}
	}
	c.edit(t, 0, watch.Change{Path: "fleet.yaml", Same: true})
	if r := last(); r.Kind != rollout.Unchanged || r.Fleet != "edge" {
		t.Errorf("the same bytes: the last event is %+v", r)
	}
}

// What comes with a revision is on disk with it, when it has changed alone; also if
// that was while it was written.
func TestChangedMetaIsSaved(t *testing.T) {
	c, dir := idleIn(t, t.TempDir())
	serves(t, c, "1")
	for bake := range 3 {
		change(t, c, fleetYAML+fmt.Sprintf("rollout: {stages: [{name: all, percent: 100, bake: %dm}]}\n", bake+1))
	}
	c.disk()
	again, err := open(t, copyOf(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	s := again.fleets["edge"]
	stages := s.snapshots[s.rollout.Serving.ID].Meta.Rollout.Stages
	if len(stages) != 1 || stages[0].Bake.Minutes() != 3 {
		t.Errorf("the stages on disk are %+v", stages)
	}
	if names := revisionsOf(t, c); !slices.Equal(names, []string{s.rollout.Serving.ID + ".pb"}) {
		t.Errorf("on disk are %v", names)
	}
}
