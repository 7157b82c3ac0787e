package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// history is what happened to the only fleet.
func (w *world) history() []api.Entry {
	w.t.Helper()
	entries, err := w.server.API.History(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	return entries
}

// wentThrough checks that each stage of a revision began once, and that it is served.
func (w *world) wentThrough(t *testing.T, id string) {
	t.Helper()
	var got []string
	for _, e := range w.history() {
		if e.Revision.ID == id && slices.Contains([]api.EventKind{api.EventStarted, api.EventStageStarted, api.EventServing}, e.Kind) {
			got = append(got, strings.TrimSpace(string(e.Kind)+" "+e.Stage))
		}
	}
	want := []string{"started", "stage started canary", "stage started all", "serving"}
	if !slices.Equal(got, want) {
		t.Errorf("the history is %q, want %q", got, want)
	}
}

// count is how many entries the history has of a kind.
func (w *world) count(kind api.EventKind) int {
	n := 0
	for _, e := range w.history() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// lastStage is the last that a revision came to.
func (w *world) lastStage(id string) string {
	last := ""
	for _, e := range w.history() {
		if e.Revision.ID == id && e.Stage != "" {
			last = e.Stage
		}
	}
	return last
}
