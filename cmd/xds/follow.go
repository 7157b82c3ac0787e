package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// follow shows what happens as it happens: a line each, and below the lines a
// table of the proxies that is kept up to date. On anything but a terminal the
// table is printed again when it has changed.
func follow(ctx context.Context, w io.Writer, c *api.Client) error {
	screen := newScreen(w)
	lines := make(chan string)
	go happens(ctx, c, lines)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		status, err := c.Status(ctx)
		if errors.Is(err, api.ErrNotAllowed) { // it never will
			return err
		}
		if err == nil {
			screen.table(table(status, time.Now()), fingerprint(status))
		}
		select {
		case line := <-lines:
			screen.line(line)
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// happens says what happens, and when nobody can say, until the context ends.
func happens(ctx context.Context, c *api.Client, lines chan<- string) {
	say := func(line string) {
		select {
		case lines <- line:
		case <-ctx.Done():
		}
	}
	lost := func(error) { say("xds does not answer at " + c.Address() + ", trying again") }
	for e := range c.Follow(ctx, lost) {
		say(sentence(e))
	}
}

// table is the proxies, for people who look on.
func table(s api.Status, now time.Time) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NODE\tSTATE\tREVISION\tMODULE\tSINCE\tENVOY")
	for _, p := range s.Proxies {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Node, stateOf(p), revision(p.Served), modules(p.Modules), ago(now, p.Since), p.Envoy)
	}
	_ = t.Flush() // a strings.Builder takes everything
	if len(s.Proxies) == 0 {
		b.WriteString("(no proxy is connected)\n")
	}
	for _, f := range s.Fleets {
		if f.Degraded != nil {
			fmt.Fprintf(&b, "! fleet %s is degraded: %s\n", f.Fleet, f.Degraded.Reason)
		}
		if h := f.WaitsFor; h != nil && now.IsZero() {
			fmt.Fprintf(&b, "%s waits: %s %s\n", f.Fleet, h.Stage, h.Kind) // what of it is news
		} else if h != nil {
			fmt.Fprintf(&b, "fleet %s: %s\n", f.Fleet, h.Text)
		}
		if f.Problem != "" {
			fmt.Fprintf(&b, "! fleet %s goes on with revision %s: %s\n", f.Fleet, revision(f.Serving), f.Problem)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(s.Problems)) {
		fmt.Fprintf(&b, "! nothing is served of it: %s\n", s.Problems[file])
	}
	return b.String()
}

// fingerprint is what of the table is news, and not just the time going by.
func fingerprint(s api.Status) string { return table(s, time.Time{}) }

// sentence is a record in words.
func sentence(r api.Event) string {
	rev := revision(api.Revision{ID: r.Revision, Number: r.Number})
	text := anyOther(r, rev)
	switch r.Kind {
	case api.EventNoticed:
		text = fmt.Sprintf("noticed    %s was saved", r.Message)
	case api.EventStarted:
		text = fmt.Sprintf("pushed     %s revision %s", r.Fleet, rev)
		if t := r.Timings; t != nil {
			text += fmt.Sprintf(", %s after the save was noticed (left alone %s, checked and built %s)",
				ms(t.Pushed.Sub(t.Noticed)), ms(t.Settled.Sub(t.Noticed)), ms(t.Built.Sub(t.Settled)))
		}
	case api.EventWarmed:
		text = fmt.Sprintf("warm       %s has revision %s in its shadow listener", r.Node, rev)
		if t := r.Timings; t != nil {
			text += fmt.Sprintf(", %s after the push", ms(t.Accepted.Sub(t.Pushed)))
		}
	case api.EventAccepted:
		text = fmt.Sprintf("ACK        %s has revision %s", r.Node, rev)
		if t := r.Timings; t != nil && !t.Flipped.IsZero() {
			text += fmt.Sprintf(", %s after the flip", ms(t.Accepted.Sub(t.Flipped)))
		}
	case api.EventRejected:
		text = fmt.Sprintf("rejected   revision %s%s: %s", rev, byNode(r.Node), r.Message)
	case api.EventServing:
		text = fmt.Sprintf("serving    every proxy of %s has revision %s", r.Fleet, rev)
	case api.EventProblem:
		text = fmt.Sprintf("error      %s", r.Message)
	case api.EventMissed:
		text = fmt.Sprintf("missed     %s", r.Message)
	case api.EventHealed:
		text = fmt.Sprintf("healed     what is on disk for %s can be served again", r.Fleet)
	case api.EventDegraded:
		text = fmt.Sprintf("degraded   %s serves revision %s, and %s shows against it: %s", r.Fleet, rev, r.Node, r.Message)
	case api.EventTakenBack:
		text = fmt.Sprintf("taken back revision %s of %s%s: %s", rev, r.Fleet, byNode(r.Node), r.Message)
	case api.EventStillRejected:
		text = fmt.Sprintf("rejected   what was saved is revision %s of %s, which %s: not sent again: %s", rev, r.Fleet, refusedBy(r.Node), r.Message)
	case api.EventRolledBack:
		text = fmt.Sprintf("went back  %s from revision %s: %s", r.Fleet, rev, r.Message)
	case api.EventUnchanged, api.EventReplanned, api.EventAsked, api.EventStageStarted, api.EventEmpty, api.EventWaits, api.EventUnproven,
		api.EventFailedBefore, api.EventBlipped, api.EventServiceAwaited, api.EventFlipped, api.EventBaking, api.EventAwaiting, api.EventAbandoned,
		api.EventReplaced, api.EventProxyLost, api.EventProxyRefusesGood, api.EventProxyInTrouble, api.EventProxyOutOfTrouble, api.EventRefusal, api.EventPaused,
		api.EventResumed, api.EventPromoted, api.EventSkipped, api.EventAborted, api.EventUndone, api.EventRetried, api.EventRecovered,
		api.EventStays, api.EventWatchEnded, api.EventMoveStarted, api.EventMovedIn, api.EventMovedOut, api.EventMoveRefused, api.EventMoveEnded:
	}
	return r.Time.Local().Format("15:04:05.000 ") + strings.Join(strings.Split(text, "\n"), "\n             ")
}

// byNode names the proxy whose evidence it was: some was nobody's, a stage without proxies say.
func byNode(node string) string {
	if node == "" {
		return ""
	}
	return ", by " + node
}

func refusedBy(node string) string {
	if node == "" {
		return "was rejected"
	}
	return node + " has refused"
}

// anyOther is a record that has no sentence of its own: what happened, to what, and why.
func anyOther(r api.Event, rev string) string {
	text := fmt.Sprintf("%-10s", r.Kind)
	for _, of := range []string{r.Fleet, r.Node} {
		if of != "" {
			text += " " + of
		}
	}
	if r.Revision != "" {
		text += " revision " + rev
	}
	if r.Message != "" {
		text += ": " + r.Message
	}
	return text
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// screen keeps a table below the lines that scroll by.
type screen struct {
	w     io.Writer
	size  func() (width, height int, err error) // nil when it is no terminal
	shown string                                // the table that is on the screen
	last  string                                // its fingerprint
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.size = func() (int, int, error) { return term.GetSize(int(f.Fd())) }
	}
	return s
}

// erase takes the table off the screen; what is printed next stands in its place.
func (s *screen) erase() string {
	if s.size == nil || s.shown == "" {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\x1b[J", strings.Count(s.shown, "\n"))
}

func (s *screen) line(text string) {
	fmt.Fprint(s.w, s.erase(), text, "\n", s.shownAgain())
}

func (s *screen) shownAgain() string {
	if s.size == nil {
		return ""
	}
	return s.shown
}

func (s *screen) table(text, fingerprint string) {
	if s.size == nil {
		if fingerprint != s.last {
			s.last = fingerprint
			fmt.Fprint(s.w, text)
		}
		return
	}
	before := s.erase()
	s.shown = "\n" + s.fit(text)
	fmt.Fprint(s.w, before, s.shown)
}

// fit cuts lines to the width of the terminal, since one that wrapped would be
// two, and the table to its height: what has scrolled off can't be erased.
func (s *screen) fit(text string) string {
	width, height, err := s.size()
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if room := max(3, height-2); len(lines) > room { // a line before it, the cursor's after
		cut := len(lines) - room + 1
		lines = append(lines[:room-1], fmt.Sprintf("… and %d lines more: `xds status` prints them all", cut))
	}
	for i, line := range lines {
		if runes := []rune(line); len(runes) >= width {
			lines[i] = string(runes[:width-2]) + "…"
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
