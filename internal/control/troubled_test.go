package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// What is said of a proxy in trouble while a first revision is on its way goes by the limit of that.
func TestTroubleWithTheFirst(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		w.Connect("a", "b", "c")
		w.Now(func(p *controltest.Proxy) { p.Takes = func(snapshot.Pair) error { return controltest.ErrTrouble } }, "b")
		save(w, 1, staged)
		const want = "1 of 3 proxies can't take what they are to have, for trouble of their own; the fleet goes on without them, up to 1 (limits.troubled): b, since"
		for _, serving := range []int{0, 1} {
			w.Pass(500 * time.Millisecond)
			f := w.Fleet("edge")
			if f.Serving.Number != serving || f.Troubled == nil || f.Troubled.TooMany || !strings.Contains(f.Troubled.Text, want) {
				t.Errorf("with %d served, want %d: %+v", f.Serving.Number, serving, f.Troubled)
			}
			w.Pass(time.Minute)
		}
	})
}

// A proxy that gets into trouble after the fleet was serving is said with the fleet, and is
// too many only past the limit, or where no other is left.
func TestTroubleAfterServing(t *testing.T) {
	for _, c := range []struct {
		name, limit string
		ids         []string
		in          []string // that are started anew, and have trouble
		tooMany     bool
		says        string
	}{
		{"one of three", "", []string{"a", "b", "c"}, []string{"b"}, false, "1 of 3 proxies can't take what they are to have, for trouble of their own; the fleet goes on without them, up to 1 (limits.troubled)"},
		{"two of three", "", []string{"a", "b", "c"}, []string{"b", "c"}, true, "2 of 3 proxies can't take what they are to have, for trouble of their own, and limits.troubled lets the fleet go without 1"},
		{"two of three, and half may be", "limits: {troubled: 0.7}, ", []string{"a", "b", "c"}, []string{"b", "c"}, false, "the fleet goes on without them, up to 2"},
		{"one of three, and none may be", "limits: {troubled: 0}, ", []string{"a", "b", "c"}, []string{"b"}, true, "limits.troubled lets the fleet go without 0"},
		{"the only one", "", []string{"a"}, []string{"a"}, true, "the only proxy can't take what it is to have, for trouble of its own, which is to be mended where it runs"},
		{"none", "", []string{"a", "b"}, nil, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
				save(w, 1, strings.Replace(staged, "{prove", "{"+c.limit+"prove", 1))
				w.Connect(c.ids...)
				w.Pass(time.Minute)
				if f := w.Fleet("edge"); f.Serving.Number != 1 || f.Troubled != nil {
					t.Fatalf("it does not serve: %+v", f)
				}
				for _, id := range c.in {
					w.Now(func(p *controltest.Proxy) { p.Takes = func(snapshot.Pair) error { return controltest.ErrTrouble } }, id)
					w.Proxies.Disconnect(id)
					w.Connect(id)
				}
				w.Pass(5 * time.Second)
				f := w.Fleet("edge")
				if len(c.in) == 0 {
					if f.Troubled != nil {
						t.Errorf("%+v", f.Troubled)
					}
					return
				}
				got := f.Troubled
				if f.Disk.State != api.DiskServed || got == nil || got.Count != len(c.in) || got.TooMany != c.tooMany || !slices.Equal(got.Nodes, c.in) {
					t.Fatalf("%s: %+v", f.Disk.State, got)
				}
				for _, want := range []string{c.says, c.in[0] + ", since", "tried again in", "Address already in use"} {
					if !strings.Contains(got.Text, want) {
						t.Errorf("no %q in %q", want, got.Text)
					}
				}
				w.Now(func(p *controltest.Proxy) { p.Takes = nil }, c.in...)
				w.Pass(2 * time.Minute)
				if f := w.Fleet("edge"); f.Troubled != nil {
					t.Errorf("it is over, and %+v is said", f.Troubled)
				}
			})
		})
	}
}
