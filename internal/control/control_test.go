package control

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/store"
	"github.com/waxwing-xds/waxwing/internal/watch"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

const fleetYAML = `fleet: edge
resources:
  listeners:
    - name: ingress
      address: {socket_address: {address: 127.0.0.1, port_value: 1}}
      filter_chains: [{filters: [{name: envoy.filters.network.echo, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]}]
  clusters:
    - {name: echo, type: STATIC, connect_timeout: 1s, load_assignment: {cluster_name: echo}}
`

// open makes a loop with a state directory of its own, or one that is there.
func open(t testing.TB, path string) (*Control, error) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	dir, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return New(Config{Log: log, Source: build.NewFiles("fleet.yaml", still{}, build.NewMaker(build.Inspect{}, confine.Rule{})), XDS: xds.NewServer(log, xds.Limits{}), Store: dir})
}

// idle is a loop that does not run: the test is what happens to it.
func idle(t testing.TB) *Control {
	t.Helper()
	c, _ := idleIn(t, t.TempDir())
	return c
}

// idleIn is one in a state directory.
func idleIn(t testing.TB, path string) (*Control, string) {
	t.Helper()
	c, err := open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.writing.Wait)
	return c, path
}

// still is a watcher of files that the test saves.
type still struct{}

func (still) Watch([]string)                                  {}
func (still) Run(context.Context, func([]watch.Change)) error { return nil }
func (still) Unsettled() bool                                 { return true }

// edit has files change together, and the loop take what comes of it until so many builds
// are done.
func (c *Control) edit(t testing.TB, builds int, changes ...watch.Change) (last build.Built) {
	t.Helper()
	c.Source.(*build.Files).Take(changes)
	return c.hear(t, builds)
}

// hear has the loop take what the source says, until so many builds are done.
func (c *Control) hear(t testing.TB, builds int) (last build.Built) {
	t.Helper()
	for {
		select {
		case <-c.Source.Ready():
		case <-time.After(20 * time.Second):
			t.Fatalf("nothing is built; problems: %v", c.problems)
		}
		events := c.Source.Events()
		c.sourceEvents(events)
		for _, event := range events {
			if b, ok := event.(build.Built); ok {
				last = b
				builds--
			}
		}
		if builds <= 0 {
			return last
		}
	}
}

// yaml is a change of the one fleet file.
func yaml(text string) watch.Change { return watch.Change{Path: "fleet.yaml", Data: []byte(text)} }

// What is wrong on disk is said, and what was good before is not taken for it; the next
// good save heals it.
func TestProblemBeforeAnyFleet(t *testing.T) {
	c := idle(t)
	c.edit(t, 0, yaml("fleet: ["))
	if s := c.status(0); !strings.Contains(s.Problems["fleet.yaml"], "fleet.yaml:1") {
		t.Errorf("the problem on disk is not said: %+v", s)
	}
	c.edit(t, 1, yaml(fleetYAML))
	if s := c.status(0); len(s.Problems) > 0 || s.Fleets[0].Problem != "" || s.Fleets[0].Candidate.ID == "" {
		t.Errorf("the next good save does not heal it: %+v", s.Fleets[0])
	}
	c.edit(t, 0, yaml("fleet: ["))
	if s := c.status(0); !strings.Contains(s.Fleets[0].Problem, "fleet.yaml:1") || s.Fleets[0].Candidate.ID == "" {
		t.Errorf("it is not the fleet's problem, or what is tried is gone: %+v", s.Fleets[0])
	}
}

// stored checks that a revision of the fleet edge and its state are.
func stored(t *testing.T, s Store, id string) {
	t.Helper()
	for _, name := range []string{fleetFileName("edge"), revisionFile("edge", id)} {
		if _, err := s.Load(name); err != nil {
			t.Error(err)
		}
	}
}

// What a restart goes on from is written after the pushes: the revision, and then
// the state that names it.
func TestStateIsSavedAfterItsRevision(t *testing.T) {
	c := idle(t)
	b := c.edit(t, 1, yaml(fleetYAML))
	if _, err := c.Store.Load(fleetFileName("edge")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the state is there before the revision that it names: %v", err)
	}
	c.disk()
	stored(t, c.Store, b.Snapshot.ID)
}

// What is not saved yet when the server ends is saved then.
func TestLastStateIsSaved(t *testing.T) {
	c := idle(t)
	b := c.edit(t, 1, yaml(fleetYAML))
	c.saveLast()
	stored(t, c.Store, b.Snapshot.ID)
}

// Proxies of a later stage are given the candidate after those of the first; how
// long they took is counted from then.
func TestWarmedSincePush(t *testing.T) {
	c := idle(t)
	s := c.fleet("edge")
	s.rollout = rollout.Fleet{
		Serving: rollout.Revision{ID: "old"},
		Rollout: &rollout.Rollout{Candidate: rollout.Revision{ID: "new"}, Plan: rollout.Plan{Stages: make([]rollout.Stage, 2), Shadow: true}},
	}
	began := time.Now()
	s.timings = api.Timings{Pushed: began.Add(-time.Minute)}
	n := &nodeState{node: &corev3.Node{Id: "late"}, fleet: "edge"}
	c.nodes["late"] = n
	c.assign(s, "late")
	records, unsubscribe, _ := c.feed.subscribe("") // "" is understood
	defer unsubscribe()
	c.served(s, n, snapshot.Pair{Live: snapshot.Ref{ID: "old"}, Shadow: snapshot.Ref{ID: "new"}})
	r := <-records
	if r.Kind != api.EventWarmed || r.Timings.Pushed.Before(began) || r.Timings.Accepted.Before(r.Timings.Pushed) {
		t.Errorf("%s, %+v, want warmed, of a push after %s", r.Kind, r.Timings, began)
	}
}
