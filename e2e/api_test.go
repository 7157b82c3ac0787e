package e2e

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// answers asks for three proxies page by page, and for what is refused.
func answers(t *testing.T, c *api.Client) {
	t.Helper()
	var nodes []string
	for p, err := range c.Proxies(t.Context(), api.ProxyQuery{Fleet: "edge", Limit: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, p.Node)
	}
	if !slices.Equal(nodes, []string{"edge-0", "edge-1", "edge-2"}) {
		t.Errorf("in pages of one: %q", nodes)
	}
	if _, err := c.History(t.Context(), "none"); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("the history of a fleet that is not: %v", err)
	}
	if err := c.Do(t.Context(), api.Command{Verb: api.VerbResume, By: "a test"}); !errors.Is(err, api.ErrRefused) {
		t.Errorf("resuming what is not paused: %v", err)
	}
}

// until returns the ID of an event, and the kind of the first.
func until(t *testing.T, s *api.Stream, kind api.EventKind, number int) (id string, first api.EventKind) {
	t.Helper()
	for {
		e, err := s.Next()
		if err != nil {
			t.Fatalf("waiting for %s: %v", kind, err)
		}
		if first == "" {
			first = e.Kind
		}
		if e.Kind == kind && e.Number == number {
			return e.ID, first
		}
	}
}

// The API as programs ask it: proxies page by page, errors that can be told apart, and
// events that go on behind the last one that was seen, over a crash of the server too.
func TestAPI(t *testing.T) {
	t.Parallel()
	w := started(t, gate(t, 1))
	w.proxies(3)
	c := api.New(w.admin)
	defer c.Close()

	answers(t, c)
	events := func(after string) *api.Stream {
		t.Helper()
		s, err := c.Events(t.Context(), after)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	s := events("")
	save(t, w.module, gate(t, 2))
	started, _ := until(t, s, api.EventStarted, 2)
	until(t, s, api.EventServing, 2)
	// A connection that was lost right after the start: nothing of the rest is missing.
	last, first := until(t, events(started), api.EventServing, 2)
	if first != api.EventStageStarted {
		t.Errorf("behind the start comes %q", first)
	}
	if _, err := c.History(t.Context(), "edge"); err != nil { // it is answered when it is on disk: an event is told before
		t.Fatal(err)
	}
	w.endServer(syscall.SIGKILL)
	for err := error(nil); !errors.Is(err, api.ErrEnded); {
		if _, err = s.Next(); err != nil && !errors.Is(err, api.ErrEnded) {
			t.Fatalf("the server is gone: %v", err)
		}
	}
	if err := c.Healthy(t.Context()); !errors.Is(err, api.ErrNoServer) {
		t.Errorf("the server is gone: %v", err)
	}
	w.startServer()
	s = events(last)
	save(t, w.module, gate(t, 3))
	if _, first := until(t, s, api.EventServing, 3); first != api.EventMissed {
		t.Errorf("after a restart comes %q", first)
	}
}
