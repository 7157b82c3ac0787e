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

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"

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
	watcher, err := watch.New(log, watch.Settings{Quiet: time.Millisecond, Max: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return New(Config{Log: log, Fleet: "fleet.yaml", Watcher: watcher, XDS: xds.NewServer(log, xds.Limits{}), Store: dir})
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

// metadata is a node's, of JSON.
func metadata(t testing.TB, text string) *structpb.Struct {
	t.Helper()
	var m structpb.Struct
	if err := protojson.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

// nextBuild takes a build's result.
func nextBuild(t testing.TB, c *Control) built {
	t.Helper()
	select {
	case b := <-c.built:
		return b
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing is built; problems: %v", c.problems)
		return built{}
	}
}

// A build that finishes after its file went bad says nothing of what is on disk: the
// problem stays, and the old content is not pushed.
func TestBuildOfWhatWasOnDisk(t *testing.T) {
	c := idle(t)
	c.changed(t.Context(), watch.Change{Path: "fleet.yaml", Data: []byte(fleetYAML)})
	late := nextBuild(t, c)
	c.changed(t.Context(), watch.Change{Path: "fleet.yaml", Data: []byte("fleet: [")})
	c.finished(late)
	s := c.status(AllProxies)
	if len(s.Fleets) != 1 || !strings.Contains(s.Fleets[0].Problem, "fleet.yaml:1") {
		t.Errorf("the problem on disk is gone: %+v", s)
	}
	if s.Fleets[0].Candidate.ID != "" {
		t.Errorf("what is not on disk any more is pushed: %+v", s.Fleets[0])
	}
	c.changed(t.Context(), watch.Change{Path: "fleet.yaml", Data: []byte(fleetYAML)})
	c.finished(nextBuild(t, c))
	if s := c.status(AllProxies); s.Fleets[0].Problem != "" || s.Fleets[0].Candidate.ID == "" {
		t.Errorf("the next good save does not heal it: %+v", s.Fleets[0])
	}
}

// What a restart goes on from is written after the pushes: the revision, and then
// the state that names it.
func TestStateIsSavedAfterItsRevision(t *testing.T) {
	c := idle(t)
	c.changed(t.Context(), watch.Change{Path: "fleet.yaml", Data: []byte(fleetYAML)})
	b := nextBuild(t, c)
	c.finished(b)
	if _, err := c.Store.Load(fleetFileName("edge")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the state is there before the revision that it names: %v", err)
	}
	c.disk()
	for _, name := range []string{fleetFileName("edge"), revisionFile("edge", b.snapshot.ID)} {
		if _, err := c.Store.Load(name); err != nil {
			t.Error(err)
		}
	}
}

// What is not saved yet when the server ends is saved then.
func TestLastStateIsSaved(t *testing.T) {
	c := idle(t)
	ctx, end := context.WithCancel(t.Context())
	c.changed(ctx, watch.Change{Path: "fleet.yaml", Data: []byte(fleetYAML)})
	b := nextBuild(t, c)
	c.finished(b)
	end()
	c.saveLast()
	for _, name := range []string{fleetFileName("edge"), revisionFile("edge", b.snapshot.ID)} {
		if _, err := c.Store.Load(name); err != nil {
			t.Error(err)
		}
	}
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
	s.timings = Timings{Pushed: began.Add(-time.Minute)}
	n := &nodeState{node: &corev3.Node{Id: "late"}, fleet: "edge"}
	c.nodes["late"] = n
	c.assign(s, "late")
	records, unsubscribe, _ := c.feed.subscribe("") // "" is understood
	defer unsubscribe()
	c.served(s, n, snapshot.Pair{Live: snapshot.Ref{ID: "old"}, Shadow: snapshot.Ref{ID: "new"}})
	r := <-records
	if r.Kind != Warmed || r.Timings.Pushed.Before(began) || r.Timings.Accepted.Before(r.Timings.Pushed) {
		t.Errorf("%s, %+v, want warmed, of a push after %s", r.Kind, r.Timings, began)
	}
}
