package xds

import (
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/stream/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/quota"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A session is one ADS stream. Requests come in by deltaRequest and sotwRequest, and
// the control loop calls assign. Both end in advance, which looks at where the proxy
// is and where it should be and answers one request, or none. It never blocks.
type session struct {
	stream    grpc.ServerStream
	transport transportStream
	server    *Server
	sotw      bool
	opened    time.Time

	// Set by the first request, before anyone else has the session.
	node  *corev3.Node
	proxy *proxy
	holds keeping // of its goroutine

	mu       sync.Mutex
	target   *snapshot.Snapshot // nil: keep what it has
	given    *snapshot.Snapshot // the same, as it is for every proxy
	slot     int                // see slots.go; written with the proxy's lock, too
	claimed  bool               // the proxy has said which, or that it has none
	peer     string             // the address of its connection
	spoke    atomic.Int64       // when its last request came in, in nanoseconds since 1970
	licence  licence            // what the target allows; see wall.go
	owners   map[string]string  // whose the real listeners are, as far as they were sent by this session
	kept     map[string]bool    // listeners that a target lacks and does not remove, of which that is said
	last     *snapshot.Snapshot // the last target that it had all of
	renews   bool               // what it has kept is being brought up to date; see kept.go
	assigned time.Time
	halted   atomic.Bool           // the proxy refused a part of the target
	reserved bool                  // the addresses of what it was given were tried
	tried    bool                  // nothing of what it was given is to be tried any more
	trying   bool                  // the target is the trial of what it was given; see trial.go
	interim  bool                  // the target is what comes ahead of what it was given; see snapshot.Interim
	turned   bool                  // it has that, or needs none
	between  bool                  // it has taken a part of a target, for users to meet, and not all of one since
	served   bool                  // the target was reported as served
	serves   atomic.Pointer[Event] // says that the proxy has accepted the target; nil before
	listless *time.Timer           // runs while the proxy is yet to ask for listeners
	silent   bool                  // it has had the time to ask for listeners, and has not
	troubled atomic.Bool           // what it refused it could not take, for trouble of its own
	fresh    bool                  // it came without any configuration
	noScopes bool                  // no listener that it has asks for scopes; see versions.go
	spelling snapshot.Spelling     // the last that something was sent in
	types    map[string]*typeState

	nonce    int64        // of the last response
	outgoing []*typeState // that have a response to go out, in this order
	writing  bool         // there is a goroutine that sends them
	writer   sync.WaitGroup
}

// typeState is where a proxy is with the resources of one type.
type typeState struct {
	url string
	sub stream.Subscription
	// open says that a request waits for a response: not from a response until the
	// proxy answers it.
	open bool
	// pending is to go out, in its turn; then its answer is awaited.
	pending *push
	awaited *push
	nonce   string
	ticket  *ticket // of a large push, that waits or is in flight
	// have are the versions the proxy was sent, or said that it has, by name;
	// acked those of them that it accepted. They are shared with pushes, so they
	// are replaced and never written to.
	have, acked map[string]string
	// held are the listeners or clusters that a state-of-the-world proxy was sent:
	// one that the next target lacks is sent along until nothing refers to it.
	// taken are those of the last set that it accepted.
	held, taken map[string]*snapshot.Resource
	// sockets are where the listeners are that it has, as far as that is known.
	sockets map[string]fleet.Sockets
	// closing says that the proxy is given time to close what is to be opened anew.
	closing bool
	// resume is the version of the whole type that a state-of-the-world proxy
	// said it has when it came back.
	resume string
	// real is the version of the real listeners alone, which is a part of what it said.
	real string
	// lacks is what the target does not have and connections may still need, and since when;
	// draining runs until some of it is to go.
	lacks    map[string]time.Time
	draining *time.Timer
	// told are the names that the client asked for and was told do not exist.
	told map[string]bool
	// presumed are those that the proxy refused, and takes for what it has; stuck is one of
	// them that can't be sent otherwise. See spelling.go.
	presumed map[string]bool
	stuck    *stuck
	// later are listeners that the proxy could not take for trouble of its own, while others
	// are yet to come.
	later map[string]string
	// claims are the versions that a delta proxy said it has when it came; names and kept are how
	// many names it asks for or claims, and how many bytes that takes. See keeping.go.
	claims      map[string]string
	names, kept int
	// answered says that something was sent.
	answered bool
}

// inFlight reports whether the proxy owes an answer, or is yet to be sent something.
func (st *typeState) inFlight() bool { return st.pending != nil || st.awaited != nil }

func newSession(stream grpc.ServerStream, s *Server, sotw bool) (*session, error) {
	transport, err := transportOf(stream.Context())
	return &session{
		stream: stream, transport: transport,
		server: s, sotw: sotw, holds: keeping{client: quota.Of(stream)}, opened: time.Now(), types: map[string]*typeState{}, peer: peerOf(stream.Context()),
	}, err
}

// identify takes the node of a stream's first request, and holds later ones
// against it: a stream that changed its identity would get another fleet's answer.
// fresh says that the request knows of no resources.
func (s *session) identify(node *corev3.Node, url string, fresh bool) error {
	s.spoke.Store(time.Now().UnixNano())
	known := s.node // this goroutine sets it
	switch {
	case url == "":
		return status.Error(codes.InvalidArgument, "a request must have a type URL")
	case known == nil && node.GetId() == "":
		return status.Error(codes.InvalidArgument, "the first request of a stream must have a node with an id")
	case known == nil:
		_, err := fleet.ListenAddresses(node)
		if _, also := fleet.ShadowAddress(node); err == nil {
			err = also
		}
		if err != nil {
			s.server.log.Error("a proxy is refused", "node", node.GetId(), "error", err)
			return status.Error(codes.InvalidArgument, err.Error())
		}
		if err := s.holds.node(node); err != nil {
			return err
		}
		s.server.join(s, node, fresh)
		return nil
	case node == nil:
		return nil
	case node.GetId() != fleet.SaidID(known) || node.GetCluster() != known.GetCluster():
		return status.Errorf(codes.InvalidArgument, "the stream of node %q can't become that of %q", fleet.SaidID(known), node.GetId())
	}
	return nil
}

// leave ends the session with its stream.
func (s *session) leave(why error) {
	s.mu.Lock()
	s.target, s.outgoing = nil, nil // nothing more goes out
	timers := []*time.Timer{s.listless}
	for _, st := range s.types {
		timers = append(timers, st.draining)
	}
	for _, timer := range timers {
		if timer != nil {
			timer.Stop()
		}
	}
	writing := s.writing
	for _, st := range s.types {
		s.giveBack(st)
	}
	s.mu.Unlock()
	if writing {
		s.cut(why) // it may wait for the proxy
		s.writer.Wait()
	}
	if s.proxy != nil {
		s.server.quit(s)
	}
	s.holds.nothing()
}

// assign sets where the proxy should be.
func (s *session) assign(t Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	target := t.Snapshot
	s.licence = t.licence()
	if target == nil || s.given == nil || s.target == nil || target.ID != s.given.ID {
		s.reserved, s.tried, s.trying, s.turned = false, false, false, false
		s.notLater()
		s.served, s.assigned = false, time.Now()
		s.serves.Store(nil)
		s.halted.Store(false)
	}
	s.given = target
	s.aim()
	s.advance()
}

// aim has the proxy go to what it was given, if it has nothing to try of that first, by what is
// to come ahead of it.
func (s *session) aim() {
	if s.trying {
		return
	}
	s.target, s.interim = s.own(s.given), false
	if s.turned {
		return
	}
	ahead, err := snapshot.Interim(s.target, s.last)
	if err != nil {
		s.server.log.Error("clusters lose filters before listeners have them", "node", s.node.GetId(), "revision", s.given.ID, "error", err)
	} else if ahead != nil {
		s.target, s.interim = ahead, true
	}
}

// hasAhead goes on from what comes ahead of what it was given to that.
func (s *session) hasAhead() {
	s.turned = true
	s.aim()
	s.advance()
}

// own is the snapshot with listeners where this proxy has them.
func (s *session) own(target *snapshot.Snapshot) *snapshot.Snapshot {
	if target == nil {
		return nil
	}
	view, err := target.For(s.node, s.slot, s.target)
	if err != nil {
		s.server.log.Error("a proxy's listeners can't be moved: it keeps what it has", "node", s.node.GetId(), "error", err)
		return nil
	}
	return view
}

// begin makes the state of a type that the proxy asks for the first time.
func (s *session) begin(url string) *typeState {
	st := &typeState{url: url}
	s.types[url] = st
	return st
}
