package control_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
)

// What a command did has who gave it, as far as that is proven, in the history, the events and the
// log, over a restart too; and what it did not do has not.
func TestWhoDidWhat(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		save(w, 2, staged)
		w.Pass(time.Second)
		from := api.Source{Identity: "ci", How: "token", Address: "10.0.0.5:1234"}
		do := func(ctx context.Context, c api.Command) {
			t.Helper()
			c.By = "ann"
			if err := w.Do(ctx, c); err != nil {
				t.Fatalf("%s: %v", c.Verb, err)
			}
		}
		proven := control.From(t.Context(), from)
		do(proven, api.Command{Verb: api.VerbPause})
		do(t.Context(), api.Command{Verb: api.VerbResume}) // nobody said
		do(proven, api.Command{Verb: api.VerbAbort})
		w.Restart()
		w.Pass(time.Second)
		do(proven, api.Command{Fleet: "edge", Verb: api.VerbRetire})
		history, err := w.History(t.Context(), "edge")
		if err != nil {
			t.Fatal(err)
		}
		want := map[api.EventKind]bool{api.EventPaused: true, api.EventResumed: false, api.EventAborted: true, api.EventRetired: true}
		for _, e := range history {
			proven, is := want[e.Kind]
			if is && e.By != "ann" || (e.From != nil) != proven || proven && *e.From != from {
				t.Errorf("%s has %v", e.Kind, e.From)
			}
			delete(want, e.Kind)
		}
		if len(want) > 0 {
			t.Errorf("missing are %v in %+v", want, history)
		}
		if !strings.Contains(w.Logged(), `from="token ci 10.0.0.5:1234"`) {
			t.Errorf("the log does not say it: %s", w.Logged())
		}
	})
}

// A fleet's history goes with it: who has it forgotten is in the event and the log.
func TestWhoForgot(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		serves(t, w, "a")
		w.Save(map[string]string{"edge.yaml": controltest.Gone})
		w.Proxies.Disconnect("a")
		w.Pass(2 * control.DefaultGrace)
		records, stop, err := w.Subscribe("")
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		if err := w.Do(control.From(t.Context(), api.Source{How: "loopback"}), api.Command{Fleet: "edge", Verb: api.VerbForget, By: "ann", Why: "gone"}); err != nil {
			t.Fatal(err)
		}
		for e := range records {
			if e.Kind != api.EventForgotten {
				continue
			}
			if e.By != "ann" || e.Message != "gone" || e.From == nil || e.From.How != "loopback" {
				t.Errorf("%+v", e)
			}
			return
		}
	})
}
