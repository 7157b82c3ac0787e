package preflight

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// hostilePlugin is a text's filter, tried with what nobody thought of.
func hostilePlugin(t *testing.T, text string) Plugin {
	t.Helper()
	p := plugin(t, text)
	p.Hostile = fleet.Hostile{}
	switch mode := directive(text, "hostile"); mode {
	case "", "warn":
		p.Hostile.Warn = mode == "warn"
	default:
		p.Hostile.Leave = strings.Split(mode, ",")
	}
	return p
}

// hastyCalls leave a loop little time, and what is slow for this machine's sake enough.
var hastyCalls = Limits{Start: patient.Start, Call: patient.Call / 1000, Memory: 64 << 20}

func TestHostile(t *testing.T) {
	for _, file := range texts(t, "hostile.txtar") {
		t.Run(strings.TrimSuffix(file.Name, ".wat"), func(t *testing.T) {
			text, s := string(file.Data), New(hastyCalls, lookup)
			p := hostilePlugin(t, text)
			report, err := s.Try(t.Context(), p)
			want := directive(text, "want")
			if want == "" {
				if err != nil || (len(report.Warnings) > 0) != p.Hostile.Warn {
					t.Errorf("%v, warnings %v", err, report.Warnings)
				}
				return
			}
			e := (*Error)(nil)
			if !errors.As(err, &e) || e.Step != StepHostile || !strings.HasPrefix(e.Error(), want) {
				t.Fatalf("%v, want %s", err, want)
			}
			replays(t, s, p, e)
		})
	}
}

// replays has the request that a filter failed fail again, from the file of it.
func replays(t *testing.T, s *Sandbox, p Plugin, e *Error) {
	t.Helper()
	text, err := e.Replay().Text()
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadReplay(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if strings.Contains(e.Reason, "traps") || strings.Contains(e.Reason, "pauses") {
		if _, err := s.Replay(t.Context(), p, r); err == nil || !strings.Contains(err.Error(), e.Reason) {
			t.Errorf("replayed: %v, want %s\n%s", err, e.Reason, text)
		}
	}
	if _, err := s.Replay(t.Context(), plugin(t, "(func)"), r); err != nil {
		t.Errorf("another filter: %v", err)
	}
}

// What is served already fails in the same way: the next one is no worse.
func TestHostileAsServed(t *testing.T) {
	const trap = `(func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (unreachable))`
	s := New(patient, lookup)
	p, served, other := hostilePlugin(t, trap), plugin(t, trap+"(func)"), plugin(t, "(func)")
	p.Served = func() (Plugin, error) { return served, nil }
	if report, err := s.Try(t.Context(), p); err != nil || len(report.Warnings) == 0 || !strings.Contains(report.Warnings[0].Error(), "what is served does so too") {
		t.Errorf("served fails too: %v, %v", err, report.Warnings)
	}
	p.Served = func() (Plugin, error) { return other, nil }
	if _, err := s.Try(t.Context(), p); err == nil {
		t.Error("served does not fail: no refusal")
	}
}

// The kinds that a fleet file may leave out are those that are asked.
func TestHostileKinds(t *testing.T) {
	var kinds []string
	for _, x := range hostile(nil) {
		if !slices.Contains(kinds, x.name) {
			kinds = append(kinds, x.name)
		}
	}
	if !slices.Equal(kinds, fleet.HostileKinds) {
		t.Errorf("asked are %v", kinds)
	}
	for _, kind := range kinds {
		if left := leaveOut(hostile(nil), []string{kind}); slices.ContainsFunc(left, func(x exchange) bool { return x.name == kind }) {
			t.Errorf("%s is not left out", kind)
		}
	}
}
