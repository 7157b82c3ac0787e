package xds

import (
	"container/list"
	"slices"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A proxy is what the server knows of a node id: its streams, of all kinds, what it is to
// have and to be asked, and what it said. There is one for each id, with one lock; rows.go
// says when it comes and goes, and twins.go when an id has several.
type proxy struct {
	server *Server
	id     string

	mu        sync.Mutex
	sessions  []*session // oldest first; the newest speaks for the proxy
	rejected  rejections
	unmatched bool          // no fleet has it
	gone      bool          // off the server's table
	place     *list.Element // in Server.absent, while only its refusals are remembered; the server's lock
	software  string        // of the proxy that refused it: another may accept
	who       who           // whose it is, of those that have its node id; see twins.go
	target    string        // the ID of what it is to have
	told      snapshot.Pair // what all sessions were last told to serve
	ack       *Verdict
	nack      *refusal
	voices    voices
	hushed    bool      // one of its processes is said not to be heard; see quiet.go
	listened  time.Time // when that was looked at last
}

// A Verdict is a proxy's word on a response. It is not written to once made.
type Verdict struct {
	At       time.Time
	Resource string // type and names
	Message  string // the proxy's words, where it refused
}

// A refusal is what a proxy refused last.
type refusal struct {
	Verdict
	trouble  bool              // for trouble of its own
	url      string            // the type
	versions map[string]string // which these were, by name
}

// Locks are taken in this order: session, proxy, then the server's or that of its
// events. The server's is held for a look at its table and nothing else, so that
// no proxy waits for another.

// join makes a session the one that speaks for its node.
func (s *Server) join(session *session, node *corev3.Node, fresh bool) {
	p := s.rowOf(node, provenBy(session.stream.Context()), fresh) // locked
	defer p.mu.Unlock()
	if software := softwareOf(node); p.software != software {
		p.rejected = nil
		p.software = software
	}
	if len(p.sessions) > 0 {
		s.log.Warn("another stream with this node id is open: a reconnect, or two proxies with one id",
			"node", node.GetId(), "streams", len(p.sessions)+1)
	}
	if len(p.sessions) == 0 {
		s.connects(1)
	}
	session.node, session.proxy = node, p // nobody else has the session yet
	session.slot = p.freeSlot(0)
	// Beside another process of its id it is none that has lost what it had.
	fresh = fresh && len(p.sessions) == 0
	session.fresh = fresh
	p.sessions = append(p.sessions, session)
	p.told = snapshot.Pair{}
	s.events.put(Event{Kind: Connected, Node: node, Fresh: fresh})
}

// Forgive forgets what the proxies with a node id refused: they are sent it again.
func (s *Server) Forgive(nodeID string) {
	if p := s.proxy(nodeID); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.rejected = nil
	}
}

// quit takes a session off its proxy, and the proxy off the server with the last.
func (s *Server) quit(session *session) {
	defer s.forgetSome()
	p := session.proxy
	s.takeOff(session)
	for _, other := range p.all() {
		other.sibling() // what was in the way of another may be free now
	}
	p.listen(time.Now())
}

func (s *Server) takeOff(session *session) {
	p := session.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.sessions, session)
	newest := i == len(p.sessions)-1
	p.sessions = slices.Delete(p.sessions, i, i+1)
	switch {
	case len(p.sessions) == 0:
		p.setMatched(true)
		s.connects(-1)
		s.events.put(Event{Kind: Disconnected, Node: session.node})
		if len(p.rejected) == 0 {
			p.ack, p.nack = nil, nil
		}
		p.vacate()
	case newest: // an older stream speaks for the proxy again
		p.told = snapshot.Pair{}
		s.events.put(Event{Kind: Connected, Node: p.sessions[len(p.sessions)-1].node})
	default:
		p.report()
	}
	p.voices.wake() // what is asked goes by who is there
}

// connects counts a proxy that has its first session, or has lost its last.
func (s *Server) connects(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connected += by
}

// match notes whether a fleet has the proxy and returns, of one that none has, how
// many such there are.
func (p *proxy) match(matched bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if matched && !p.unmatched {
		return 0 // as it nearly always is, without the server's lock
	}
	return p.setMatched(matched || len(p.sessions) == 0)
}

func (p *proxy) setMatched(matched bool) int {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	if p.unmatched && matched {
		p.server.unmatched--
	} else if !p.unmatched && !matched {
		p.server.unmatched++
	}
	p.unmatched = !matched
	return p.server.unmatched
}

// cut ends the proxy's streams.
func (p *proxy) cut(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, session := range p.sessions {
		session.cut(why)
	}
}

func (p *proxy) assign(target Target) {
	p.wants(target.Snapshot)
	for _, session := range p.all() {
		session.assign(target)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report()
}

// wants notes which target it is to be told of that all have accepted it.
func (p *proxy) wants(target *snapshot.Snapshot) {
	id := ""
	if target != nil {
		id = target.ID
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id != p.target {
		p.target, p.told = id, snapshot.Pair{}
	}
}

// all are the proxy's sessions, to be called without its lock.
func (p *proxy) all() []*session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sessions)
}

// tell passes on evidence of any process of the node id.
func (p *proxy) tell(session *session, e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.sessions, session) {
		p.server.events.put(e)
	}
}

// refuse remembers versions that the proxy does not want.
func (p *proxy) refuse(typeURL string, versions map[string]string, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rejected = p.rejected.add(typeURL, versions, message)
}

// refused reports whether the proxy does not want a resource of a target.
func (p *proxy) refused(target *snapshot.Snapshot, typeURL string, r *snapshot.Resource) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rejected.hold(target, typeURL, r)
}

// relent forgets what the proxy refused last if all its processes serve their target, and this
// one has taken that now, or could not take it for trouble of its own, which is over. What
// it was not sent again, since it is bad, stays for people to see. Called with the session
// and the proxy locked.
func (p *proxy) relent(s *session) {
	v := p.nack
	if v == nil || p.serves() == nil {
		return
	}
	if v.trouble || len(v.versions) > 0 && s.accepted(v.url, v.versions) {
		p.nack = nil
	}
}

// accepted is whether the proxy has these versions of a type.
func (s *session) accepted(url string, versions map[string]string) bool {
	st := s.types[url]
	for name, version := range versions {
		if st == nil || st.acked[name] != version {
			return false
		}
	}
	return true
}

// accepts notes the proxy's last word.
func (p *proxy) accepts(v *Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ack = v
}

// refuses is the same where it refuses.
func (p *proxy) refuses(v *refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nack = v
}
