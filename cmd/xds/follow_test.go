package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// crowd is the status of a fleet of many proxies.
func crowd(n int) api.Status {
	s := api.Status{Problems: map[string]string{"fleet.yaml": "fleet.yaml:3: mistake"}}
	for i := range n {
		s.Proxies = append(s.Proxies, api.Proxy{Node: fmt.Sprintf("edge-%d", i), State: api.ProxyServing})
	}
	return s
}

// On a terminal the table is erased by going up its lines: it must have no more of
// them than the screen, none longer than the screen is wide, and go up just as many.
func TestTableFitsTheScreen(t *testing.T) {
	for _, proxies := range []int{0, 3, 200} {
		var out strings.Builder
		s := &screen{w: &out, size: func() (int, int, error) { return 40, 12, nil }}
		s.table(table(crowd(proxies), time.Now()), "")
		shown := strings.TrimSuffix(out.String(), "\n")
		lines := strings.Split(shown, "\n")
		if len(lines) > 11 {
			t.Errorf("%d proxies: %d lines on a screen of 12", proxies, len(lines))
		}
		for _, line := range lines {
			if len([]rune(line)) >= 40 {
				t.Errorf("%d proxies: a line of 40 columns or more: %q", proxies, line)
			}
		}
		out.Reset()
		s.line("news")
		if want := fmt.Sprintf("\x1b[%dA\x1b[Jnews\n%s\n", len(lines), shown); out.String() != want {
			t.Errorf("%d proxies: a line is printed as %q, want %q", proxies, out.String(), want)
		}
	}
	if text := table(crowd(3), time.Now()); !strings.Contains(text, "! nothing is served of it: fleet.yaml:3: mistake\n") {
		t.Errorf("the table hides what is wrong:\n%s", text)
	}
}

// On anything else the table is printed when it has changed, and not as time goes by.
func TestTableIsNotRepeated(t *testing.T) {
	var out strings.Builder
	s := newScreen(&out)
	status, now := crowd(1), time.Now()
	s.table(table(status, now), fingerprint(status))
	first := out.String()
	s.table(table(status, now.Add(time.Minute)), fingerprint(status))
	if out.String() != first {
		t.Errorf("nothing has changed, and yet:\n%s", out.String())
	}
	status.Proxies[0].State = api.ProxyPushing
	s.table(table(status, now), fingerprint(status))
	if !strings.Contains(out.String(), "pushing") {
		t.Errorf("the change is not shown:\n%s", out.String())
	}
}

func TestSentences(t *testing.T) {
	noticed := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	at := func(ms int) time.Time { return noticed.Add(time.Duration(ms) * time.Millisecond) }
	timings := &api.Timings{Noticed: noticed, Settled: at(50), Built: at(70), Pushed: at(75), Flipped: at(75), Accepted: at(118)}
	for kind, want := range map[api.EventKind]string{
		api.EventNoticed:       "03:04:05.000 noticed    said was saved",
		api.EventStarted:       "03:04:05.000 pushed     edge revision 7 (abcdefgh), 75 ms after the save was noticed (left alone 50 ms, checked and built 20 ms)",
		api.EventWarmed:        "03:04:05.000 warm       edge-1 has revision 7 (abcdefgh) in its shadow listener, 43 ms after the push",
		api.EventAccepted:      "03:04:05.000 ACK        edge-1 has revision 7 (abcdefgh), 43 ms after the flip",
		api.EventRejected:      "03:04:05.000 rejected   revision 7 (abcdefgh), by edge-1: said",
		api.EventServing:       "03:04:05.000 serving    every proxy of edge has revision 7 (abcdefgh)",
		api.EventProblem:       "03:04:05.000 error      said",
		api.EventMissed:        "03:04:05.000 missed     said",
		api.EventHealed:        "03:04:05.000 healed     what is on disk for edge can be served again",
		api.EventDegraded:      "03:04:05.000 degraded   edge serves revision 7 (abcdefgh), and edge-1 shows against it: said",
		api.EventTakenBack:     "03:04:05.000 taken back revision 7 (abcdefgh) of edge, by edge-1: said",
		api.EventStillRejected: "03:04:05.000 rejected   what was saved is revision 7 (abcdefgh) of edge, which edge-1 has refused: not sent again: said",
		api.EventRolledBack:    "03:04:05.000 went back  edge from revision 7 (abcdefgh): said",
		api.EventBaking:        "03:04:05.000 baking     edge edge-1 revision 7 (abcdefgh): said",
	} {
		got := sentence(api.Event{
			Time: noticed, Kind: kind, Fleet: "edge", Node: "edge-1", Revision: "abcdefghijkl", Number: 7, Message: "said", Timings: timings,
		})
		if got != want {
			t.Errorf("%s:\n got %q\nwant %q", kind, got, want)
		}
	}
}

// What no proxy is named in is said without one.
func TestSentencesWithoutAProxy(t *testing.T) {
	for kind, want := range map[api.EventKind]string{
		api.EventRejected:      "rejected   revision 7 (abcdefgh): said",
		api.EventTakenBack:     "taken back revision 7 (abcdefgh) of edge: said",
		api.EventStillRejected: "rejected   what was saved is revision 7 (abcdefgh) of edge, which was rejected: not sent again: said",
		api.EventAbandoned:     "abandoned  edge revision 7 (abcdefgh): said",
	} {
		r := api.Event{Kind: kind, Fleet: "edge", Revision: "abcdefghijkl", Number: 7, Message: "said"}
		if got := sentence(r); !strings.HasSuffix(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", kind, got, want)
		}
	}
}
