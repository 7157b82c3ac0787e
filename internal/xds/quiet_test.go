package xds

import (
	"log/slog"
	"testing"
	"time"
)

// Of two processes with one node id the one is not heard that owes an answer, and sends nothing
// by itself any more; not one that is heard by anything, or has nothing to answer, or whose
// streams are not told from those of the other.
func TestProcessThatIsNotHeard(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name           string
		peer           string
		flushed, spoke time.Duration // ago
		report         time.Duration // ago; 0: no health discovery
		owes, asked    bool
		quiet          bool
	}{
		{"it owes an answer", "10.0.0.2:1", 10 * time.Second, 20 * time.Second, 0, true, false, true},
		{"it owes none: an older process of a hot restart", "10.0.0.2:1", 10 * time.Second, 20 * time.Second, 0, false, false, false},
		{"it does not report on what it is asked", "10.0.0.2:1", 10 * time.Second, 20 * time.Second, 10 * time.Second, false, true, true},
		{"it reports", "10.0.0.2:1", 10 * time.Second, 20 * time.Second, time.Second, true, true, false},
		{"it has answered something", "10.0.0.2:1", 10 * time.Second, time.Second, 0, true, false, false},
		{"it sends its counters", "10.0.0.2:1", time.Second, 20 * time.Second, 0, true, false, false},
		{"it sends everything by the other's connection", "10.0.0.1:1", 10 * time.Second, 20 * time.Second, 0, true, false, false},
		{"by a Unix socket", "", 10 * time.Second, 20 * time.Second, 0, true, false, false},
	} {
		s := NewServer(slog.New(slog.DiscardHandler), Limits{})
		p := &proxy{server: s, id: "a"}
		for _, peer := range []string{"10.0.0.1:1", c.peer} {
			p.sessions = append(p.sessions, &session{server: s, proxy: p, peer: peer, node: evident("a"), types: map[string]*typeState{}})
			m := &metricsStream{peer: peer}
			m.heardAt(now.Add(-c.flushed - time.Second))
			m.heardAt(now.Add(-c.flushed))
			p.voices.metrics = append(p.voices.metrics, m)
		}
		p.voices.metrics[0].heardAt(now)
		other := p.sessions[1]
		other.spoke.Store(now.Add(-c.spoke).UnixNano())
		if c.owes {
			other.types["x"] = &typeState{awaited: &push{}}
		}
		if c.report > 0 {
			p.voices.health = []*healthStream{{peer: c.peer, heard: now.Add(-c.report)}}
		}
		if c.asked {
			p.voices.plan = &ProbePlan{Report: 100 * time.Millisecond}
		}
		p.listen(now)
		told := s.events.take()
		if quiet := len(told) == 1 && told[0].Kind == Hushed && told[0].Quiet.Peer == c.peer && told[0].Quiet.Of == 2 && !told[0].Quiet.Since.IsZero(); quiet != c.quiet || len(told) > 1 {
			t.Errorf("%s: %+v", c.name, told)
		}
		if !c.quiet {
			continue
		}
		p.listen(now.Add(time.Millisecond)) // it was looked at just now
		other.spoke.Store(now.UnixNano())
		p.listen(now.Add(time.Second))
		if told = s.events.take(); len(told) != 1 || !told[0].Quiet.Since.IsZero() {
			t.Errorf("%s: heard again: %+v", c.name, told)
		}
		if p.listen(now.Add(2 * time.Second)); len(s.events.take()) > 0 {
			t.Errorf("%s: it is said again", c.name)
		}
	}
}
