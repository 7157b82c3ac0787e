package xds

import (
	"slices"
	"time"
)

// Of several processes with one node id one may hang, its process stopped or starved, while
// another is heard: what all say together then tells nothing of it. Each has its connection, by
// which its streams belong together. It is not heard when nothing has come by any of them for
// longer than it takes between two flushes of its counters, or two reports of its checks, and
// when an answer of it is awaited besides: the older process of a hot restart sends no counters
// any more, and lives.
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/operations/hot_restart

// A Quiet is a process of a node id with several that is not heard.
type Quiet struct {
	Since time.Time // when it was heard last
	Peer  string    // the address that it is connected from
	Of    int       // how many processes have the node id, now
}

// metricsStream is one that a proxy sends its counters by. The lock of the proxy is its.
type metricsStream struct {
	peer  string
	heard time.Time     // zero before the first flush
	every time.Duration // between its last two flushes; zero before the second
	lacks int           // so many flushes that are to come may lack what probes counted last
}

func (m *metricsStream) heardAt(now time.Time) {
	if !m.heard.IsZero() {
		m.every = now.Sub(m.heard)
	}
	m.heard = now
}

// listenEvery is how often it is looked at whether all processes of a node id are heard.
const listenEvery = 500 * time.Millisecond

// listen says which process is not heard, while it is not, and once when all are again. It is
// called whenever one is heard, or has gone, and with no lock.
func (p *proxy) listen(now time.Time) {
	if !p.mayHush(now) {
		return
	}
	owing := map[*session]bool{}
	for _, s := range p.all() {
		owing[s] = s.owes()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	quiet := p.quietest(owing, now)
	if len(p.sessions) == 0 || quiet.Since.IsZero() && !p.hushed {
		p.hushed = false
		return
	}
	p.hushed = !quiet.Since.IsZero()
	node := p.sessions[len(p.sessions)-1].node
	p.server.events.merge(Event{Kind: Hushed, Node: node, Quiet: quiet}, func(_, newer Event) Event { return newer })
}

// mayHush is whether to look: nearly always there is one process.
func (p *proxy) mayHush(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	alone := len(p.sessions) < 2
	if alone && !p.hushed || !alone && now.Sub(p.listened) < listenEvery {
		return false
	}
	p.listened = now
	return true
}

// owes is whether the process is yet to answer what it was sent.
func (s *session) owes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.types {
		if st.awaited != nil {
			return true
		}
	}
	return false
}

// quietest is the process that was not heard for the longest, of those that should have been.
// Called with the proxy locked.
func (p *proxy) quietest(owing map[*session]bool, now time.Time) (out Quiet) {
	out.Of = len(p.sessions)
	if out.Of < 2 {
		return out
	}
	for _, s := range p.sessions {
		at, every := p.heardFrom(s)
		owes := owing[s] || p.voices.plan != nil && slices.ContainsFunc(p.voices.health, func(h *healthStream) bool { return h.peer == s.peer })
		if every == 0 || !owes || now.Sub(at) <= 2*every+time.Second {
			continue
		}
		if out.Since.IsZero() || at.Before(out.Since) {
			out.Since, out.Peer = at, s.peer
		}
	}
	return out
}

// heardFrom is when a process was heard last, and how often it should be; never (0) where its
// streams are not told from those of others, or it sends nothing by itself. Called with the proxy
// locked.
func (p *proxy) heardFrom(s *session) (at time.Time, every time.Duration) {
	at = time.Unix(0, s.spoke.Load())
	if s.peer == "" || slices.ContainsFunc(p.sessions, func(other *session) bool { return other != s && other.peer == s.peer }) {
		return at, 0
	}
	for _, h := range p.voices.health {
		if h.peer != s.peer {
			continue
		}
		if p.voices.plan != nil {
			every = p.voices.plan.Report
		}
		if h.heard.After(at) {
			at = h.heard
		}
	}
	for _, m := range p.voices.metrics {
		if m.peer != s.peer {
			continue
		}
		every = max(every, m.every)
		if m.heard.After(at) {
			at = m.heard
		}
	}
	return at, every
}
