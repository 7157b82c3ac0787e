package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// number is a revision's number, 0 for one that is not served or tried any more.
func (s *fleetState) number(id string) int {
	for _, r := range append([]rollout.Revision{s.rollout.Serving, s.candidate()}, s.rollout.Kept()...) {
		if r.ID == id {
			return r.Number
		}
	}
	i := slices.IndexFunc(s.rollout.Rejected, func(r rollout.Rejection) bool { return r.ID == id })
	if i >= 0 {
		return s.rollout.Rejected[i].Number
	}
	return 0
}

// tell logs what the rollout decided and passes it on to who follows along.
func (c *Control) tell(s *fleetState, e rollout.Entry) {
	if e.Kind == rollout.Waits {
		e.Reason = c.withHolders(s, e.Reason)
	}
	r := api.Event{
		Time: e.At, Kind: e.Kind, Fleet: s.name, Revision: e.Revision.ID, Number: e.Revision.Number,
		Stage: e.Stage, Node: e.Node, By: e.By, Message: e.Reason, From: e.From,
	}
	log := c.Log.With("fleet", s.name, "revision", e.Revision.Number, "id", e.Revision.ID)
	for _, field := range []struct{ key, value string }{{"stage", e.Stage}, {"node", e.Node}, {"by", e.By}, {"reason", e.Reason}} {
		if field.value != "" {
			log = log.With(field.key, field.value)
		}
	}
	if e.From != nil {
		log = log.With("from", e.From)
	}
	switch e.Kind {
	case rollout.Started:
		s.timings.Pushed = time.Now()
		timings := s.timings
		r.Timings = &timings
		log.Info("rollout started", "proxies", c.count(s.name), "modules", s.modules(e.Revision.ID))
	case rollout.Flipped:
		s.timings.Flipped = time.Now()
		timings := s.timings
		r.Timings = &timings
		log.Info("flipped: real listeners are given it")
	case rollout.Serving:
		log.Info("serving: it is the last good revision now", "proxies", c.count(s.name))
	case rollout.Rejected, rollout.Aborted:
		log.Error("rejected, and not sent to any proxy again", "still_runs", s.running())
	case rollout.DegradedNow:
		log.Error("degraded: there is evidence against what is served")
	case rollout.TakenBack:
		log.Error("what was served is taken back, and not sent to any proxy again", "still_runs", s.running())
	case rollout.Stays:
		log.Error("what is served stays, for all the evidence against it")
	case rollout.StillRejected:
		log.Error("on disk is a revision that was rejected: it is not sent", "still_runs", s.running())
	case rollout.ProxyRefusesGood:
		log.Error("a proxy refuses what the fleet serves: it keeps what it has")
	case rollout.ProxyInTrouble:
		log.Warn("a proxy has trouble of its own: it keeps what it has, and is tried again until it has taken this")
	case rollout.ProxyLost:
		log.Warn("a proxy was lost soon after it was given a revision, and does not come back")
	case rollout.Refusal: // problem logs it
	case rollout.Unchanged, rollout.Replanned, rollout.Asked, rollout.StageStarted, rollout.Empty, rollout.Waits, rollout.Unproven,
		rollout.FailedBefore, rollout.Blipped, rollout.ServiceAwaited, rollout.Baking, rollout.Awaiting, rollout.Abandoned, rollout.RolledBack,
		rollout.Replaced, rollout.ProxyOutOfTrouble, rollout.Paused, rollout.Resumed, rollout.Promoted, rollout.Skipped, rollout.Undone,
		rollout.Retried, rollout.Recovered, rollout.WatchEnded, rollout.MoveStarted, rollout.MovedIn, rollout.MovedOut, rollout.MoveRefused, rollout.MoveEnded:
		log.Info(string(e.Kind))
	}
	c.feed.put(r)
}

func (c *Control) count(fleet string) int {
	n := 0
	for _, node := range c.nodes {
		if node.fleet == fleet {
			n++
		}
	}
	return n
}

// modules names a revision's modules by the first part of their digests.
func (s *fleetState) modules(id string) string {
	var out []string
	if snap := s.snapshots[id]; snap != nil {
		for _, m := range snap.Modules {
			out = append(out, m.Filter+"="+m.Digest[:12])
		}
	}
	return strings.Join(out, " ")
}

// running says what a fleet goes on with.
func (s *fleetState) running() string {
	if s.rollout.Serving.ID == "" {
		return "nothing: no revision has been good yet" + s.openFor()
	}
	return fmt.Sprintf("revision %d (%s)", s.rollout.Serving.Number, s.rollout.Serving.ID)
}

// openFor says what listeners there are of a fleet that serves nothing.
func (s *fleetState) openFor() string {
	closing, held := 0, 0
	for _, id := range s.rollout.Held() {
		if _, closed := snapshot.IsClosed(id); closed {
			closing++
		} else {
			held++
		}
	}
	r := s.rollout.Rollout
	switch {
	case r != nil && len(r.Flipped) > 0:
		return fmt.Sprintf("; revision %d is being tried, and has listeners open on %s", r.Candidate.Number, proxies(len(r.Flipped)))
	case held > 0:
		return "; proxies have listeners open for one that was given up for a newer one"
	case closing > 0:
		return "; proxies that have opened listeners for the rejected one deny every request, and close them"
	}
	return ""
}

// problem tells, and logs once, what on disk can't be served, and what runs on. key
// is the fleet's name or, where none was ever read from it, the file's path.
func (c *Control) problem(key string, err error) {
	if c.problems[key] == err.Error() {
		c.feed.put(api.Event{Kind: api.EventProblem, Fleet: key, Message: err.Error()}) // of another save
		return
	}
	c.problems[key] = err.Error()
	running := "nothing of it"
	if s := c.fleets[key]; s != nil {
		running = s.running()
	}
	c.Log.Error("what is on disk can't be served", "fleet", key, "error", oneLine(err), "still_runs", running)
	c.feed.put(api.Event{Kind: api.EventProblem, Fleet: key, Message: err.Error()})
}

// savedSame tells that a file was saved as it was.
func (c *Control) savedSame(e build.Unchanged) {
	c.Log.Info("a file was saved as it was", "file", e.Path)
	c.feed.put(api.Event{Kind: rollout.Unchanged, Fleet: e.Fleet, Message: e.Path + " was saved, and holds what it held: nothing changes"})
}

// healed takes a problem back.
func (c *Control) healed(key string) {
	if c.problems[key] == "" {
		return
	}
	delete(c.problems, key)
	c.Log.Info("what is on disk can be served again", "fleet", key)
	c.feed.put(api.Event{Kind: api.EventHealed, Fleet: key})
}
