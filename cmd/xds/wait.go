package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

const waitHelp = `

With --wait it returns when what is on disk is served, or is not going to be, and
says why. Called right after a save it waits for that save, over restarts of the
server too. Its exit status:

  0  it is served; a proxy in trouble of its own is named, within limits.troubled
  1  something else is wrong: there is no such fleet, say
  2  the command line is
  3  it was refused, rejected, aborted or undone
  4  --timeout is over, and it is still on its way, or too many proxies are in trouble
  5  --timeout is over, and it waits for a person: it is paused, or to be approved
  6  no server answers, or can't say, since too many ask it (for as long as
     --timeout, or 30s)
  7  no proxy of the fleet is connected (for as long as --timeout, or 15s), or the
     fleet is retired, and takes none
  8  a newer save has taken its place
  9  the server does not let who asks: no token, or a role that is too little`

// How long is waited where there is no --timeout: a server may be restarted, and its
// proxies come back within Envoy's back-off of up to 11 s.
const (
	serverPatience = 30 * time.Second
	proxyPatience  = 15 * time.Second
	lookEvery      = 200 * time.Millisecond
)

// waiter is one `--wait`.
type waiter struct {
	flags   rolloutFlags
	ask     func(context.Context) (api.Status, error)
	said    io.Writer // what is waited for, as it changes
	began   time.Time
	awaited string // the content on disk that is waited for, "" until it is known
	looks   int
	told    api.WaitKind
	// troubled is how many proxies were said to be in trouble.
	troubled int

	missing time.Time // since when no server answers; zero while one does
	nobody  time.Time // since when no proxy is connected; zero while one is
}

// wait returns when it is known what comes of what is on disk; its error says why
// that is not served.
func (w *waiter) wait(ctx context.Context) (api.Fleet, error) {
	for {
		s, err := w.look(ctx)
		if outcome, over := w.judge(s, err); over {
			return s, outcome
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return s, fmt.Errorf("waiting for the rollout: %w", ctx.Err())
		}
	}
}

// unsettled is what look says while it is not known yet which fleets there are.
var errUnsettled = errors.New("what is on disk is being read")

func (w *waiter) look(ctx context.Context) (api.Fleet, error) {
	status, err := w.ask(ctx)
	if err != nil {
		return api.Fleet{}, err
	}
	s, err := w.flags.pick(status)
	switch {
	case err == nil:
		return s, nil
	case status.Unsettled:
		return s, errUnsettled
	case len(status.Problems) > 0:
		return s, exitError{exitRejected, fmt.Errorf("nothing of it is served: %w", problems(status))}
	}
	return s, err
}

func problems(status api.Status) error {
	var all []error
	for _, problem := range status.Problems {
		all = append(all, errors.New(problem))
	}
	return errors.Join(all...)
}

// judge says whether the wait is over, and what came of it.
func (w *waiter) judge(s api.Fleet, err error) (outcome error, over bool) {
	now := time.Now()
	if errors.Is(err, api.ErrNoServer) || errors.Is(err, api.ErrUnavailable) {
		since(&w.missing, now, true)
		if w.out(now, w.missing, serverPatience) {
			return exitError{exitNoServer, err}, true
		}
		return nil, false
	}
	since(&w.missing, now, false)
	w.looks++
	switch {
	case errors.Is(err, errUnsettled):
		return w.timedOut(s, now)
	case w.looks == 1: // a save is noticed a moment after it
		return nil, false
	case err != nil:
		return err, true
	}
	w.say(s)
	since(&w.nobody, now, s.Proxies == 0)
	return w.outcome(s, now)
}

// outcome is what came of the save that is waited for.
func (w *waiter) outcome(s api.Fleet, now time.Time) (outcome error, over bool) {
	if s.Disk.State == api.DiskReading {
		return w.timedOut(s, now)
	}
	if w.awaited == "" {
		w.awaited = s.Disk.Content
	}
	switch {
	case retired(s):
		return exitError{exitNobody, fmt.Errorf("it is not served: %s", s.Disk.Why)}, true
	case s.Disk.State == api.DiskNothing:
		return fmt.Errorf("there is nothing to serve: %s", cmp.Or(s.Disk.Why, "fleet "+s.Fleet+" has no file")), true
	case s.Disk.Content != w.awaited:
		return exitError{exitReplaced, errors.New("a newer save has taken its place")}, true
	case s.Disk.State == api.DiskServed && s.Troubled != nil && s.Troubled.TooMany:
		return w.timedOut(s, now)
	case s.Disk.State == api.DiskServed && s.Proxies > 0:
		// What changed checks show is printed with it, if there is time.
		asking := s.WaitsFor != nil && s.WaitsFor.Kind == api.WaitAsking
		return nil, !asking || *w.flags.timeout > 0 && now.Sub(w.began) >= *w.flags.timeout
	case s.Disk.State == api.DiskServed || s.Disk.State == api.DiskTried:
		if s.Proxies == 0 && w.out(now, w.nobody, proxyPatience) {
			return exitError{exitNobody, fmt.Errorf("it is not served: no proxy of fleet %s is connected%s", s.Fleet, noticed(s))}, true
		}
		return w.timedOut(s, now)
	}
	return exitError{exitRejected, fmt.Errorf("it is not served: %s: %s", s.Disk.State, s.Disk.Why)}, true
}

// retired is whether a fleet takes no proxies any more, and nothing of a file is on its way.
func retired(s api.Fleet) bool {
	return s.Disk.State == api.DiskRetired || s.Disk.State == api.DiskNothing && s.Retired != nil
}

// noticed is what is known of why a fleet has no proxy.
func noticed(s api.Fleet) string {
	if len(s.Notices) == 0 {
		return ""
	}
	return " (" + strings.Join(s.Notices, "; ") + ")"
}

// timedOut says what is waited for still, when the time is over.
func (w *waiter) timedOut(s api.Fleet, now time.Time) (outcome error, over bool) {
	if *w.flags.timeout == 0 || now.Sub(w.began) < *w.flags.timeout {
		return nil, false
	}
	status, what := exitTimeout, "what is on disk is being read"
	if s.Disk.State == api.DiskTried || s.Disk.State == api.DiskServed {
		what = cmp.Or(s.Disk.Why, "it is "+string(s.Disk.State))
	}
	if s.Troubled != nil {
		what = s.Troubled.Text
	}
	if h := s.WaitsFor; h != nil {
		what = h.Text
		switch {
		case h.Kind.Person():
			status = exitPerson
		case h.Kind == api.WaitNoProxy:
			status = exitNobody
		}
	}
	return exitError{status, fmt.Errorf("it is not served within %s: %s", *w.flags.timeout, what)}, true
}

// out is whether something has lasted for too long.
func (w *waiter) out(now, since time.Time, patience time.Duration) bool {
	if *w.flags.timeout > 0 {
		return now.Sub(w.began) >= *w.flags.timeout
	}
	return !since.IsZero() && now.Sub(since) >= patience
}

// say tells what is waited for, when it is something else.
func (w *waiter) say(s api.Fleet) {
	if h := s.WaitsFor; h != nil && h.Kind != w.told {
		w.told = h.Kind
		fmt.Fprintln(w.said, "waiting:", h.Text)
	}
	if t := s.Troubled; t != nil && t.Count != w.troubled {
		fmt.Fprintln(w.said, "trouble:", t.Text)
	}
	w.troubled = 0
	if s.Troubled != nil {
		w.troubled = s.Troubled.Count
	}
}

// since notes from when on something is so.
func since(at *time.Time, now time.Time, is bool) {
	switch {
	case !is:
		*at = time.Time{}
	case at.IsZero():
		*at = now
	}
}
