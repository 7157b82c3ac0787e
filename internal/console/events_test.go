package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
)

// follow asks for events until the context or the stream ends.
func follow(ctx context.Context, loop Loop, w http.ResponseWriter) {
	served(loop).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, api.PathEvents, nil))
}

// Each event is a line, and is there when it happens.
func TestEventsAsTheyHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := &standIn{records: make(chan api.Event)}
		ctx, cancel := context.WithCancel(t.Context())
		w, done := httptest.NewRecorder(), make(chan bool)
		go func() { defer close(done); follow(ctx, loop, w) }()
		synctest.Wait()
		if !w.Flushed || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("who follows is not told that they do: %d %v, flushed %t", w.Code, w.Header(), w.Flushed)
		}
		for i, kind := range []api.EventKind{api.EventNoticed, api.EventStarted} {
			w.Flushed = false
			loop.records <- api.Event{Kind: kind, ID: fmt.Sprint("x-", i)}
			synctest.Wait()
			var e api.Event
			lines := strings.Split(w.Body.String(), "\n")
			if err := json.Unmarshal([]byte(lines[i]), &e); err != nil || e.Kind != kind || e.ID != fmt.Sprint("x-", i) || !w.Flushed {
				t.Errorf("event %d is %q (%v), flushed %t", i, lines[i], err, w.Flushed)
			}
		}
		cancel()
		<-done
		if loop.asked != "events , stopped" {
			t.Errorf("the loop was asked for %q", loop.asked)
		}
	})
}

// Who is too slow is cut off, and nothing waits for them.
func TestSlowFollower(t *testing.T) {
	loop := &standIn{records: make(chan api.Event, 1)}
	loop.records <- api.Event{Kind: "noticed"}
	close(loop.records)
	w := httptest.NewRecorder()
	follow(t.Context(), loop, w)
	if strings.Count(w.Body.String(), "\n") != 1 || !strings.HasSuffix(loop.asked, "stopped") {
		t.Errorf("%q after %s", w.Body, loop.asked)
	}
}

// Who is gone is not written to any more.
func TestFollowerGone(t *testing.T) {
	loop := &standIn{records: make(chan api.Event, 2)}
	loop.records <- api.Event{Kind: "noticed"}
	loop.records <- api.Event{Kind: "noticed"}
	follow(t.Context(), loop, &gone{ResponseRecorder: httptest.NewRecorder()})
	if len(loop.records) != 1 || !strings.HasSuffix(loop.asked, "stopped") {
		t.Errorf("%d events are left, %s", len(loop.records), loop.asked)
	}
}

func TestEventsAfterNothing(t *testing.T) {
	w := ask(t, &standIn{err: fmt.Errorf("%q is %w", "x", control.ErrNoRecord)}, http.MethodGet, api.PathEvents+"?after=x", "")
	wantError(t, w, api.CodeInvalid, `"x" is not the ID of an event`)
}
