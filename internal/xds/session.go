package xds

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A session is one ADS stream. go-control-plane's stream handler calls it as its
// cache (a request came: CreateDeltaWatch, CreateWatch) and with its callbacks (a
// response goes out); the control loop calls assign. All of them end in advance,
// which looks at where the proxy is and where it should be and answers one open
// watch, or none. It never blocks.
type session struct {
	ctx     context.Context
	cut     context.CancelCauseFunc // ends the stream
	server  *Server
	variant string
	opened  time.Time

	// Set by the first request, before anyone else has the session.
	node  *corev3.Node
	proxy *proxy

	mu       sync.Mutex
	target   *snapshot.Snapshot // nil: keep what it has
	assigned time.Time
	halted   atomic.Bool // the proxy refused a part of the target
	served   bool        // the target was reported as served
	types    map[string]*typeState
}

// typeState is where a proxy is with the resources of one type.
type typeState struct {
	url string
	// watch is the request that waits for a response: nil from a response until
	// the proxy answers it.
	watch *watch
	// pending was handed to go-control-plane and is not sent yet; its nonce is then awaited.
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
	held map[string]*snapshot.Resource
	// resume is the version of the whole type that a state-of-the-world proxy
	// said it has when it came back.
	resume string
	// answered says that something was sent.
	answered bool
}

// watch is a request of a proxy that go-control-plane waits to answer.
type watch struct {
	sub    cache.Subscription
	answer func(*push)
	sotw   bool
}

// inFlight reports whether the proxy owes an answer, or go-control-plane a send.
func (st *typeState) inFlight() bool { return st.pending != nil || st.awaited != nil }

func newSession(ctx context.Context, s *Server, variant string) *session {
	ctx, cut := context.WithCancelCause(ctx)
	return &session{ctx: ctx, cut: cut, server: s, variant: variant, opened: time.Now(), types: map[string]*typeState{}}
}

// identify takes the node of a stream's first request, and holds later ones
// against it: a stream that changed its identity would get another fleet's answer.
// fresh says that the request knows of no resources.
func (s *session) identify(node *corev3.Node, fresh bool) error {
	known := s.node // this goroutine sets it
	switch {
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
		slim(node)
		s.server.join(s, node, fresh)
		return nil
	case node == nil:
		return nil
	case node.GetId() != known.GetId() || node.GetCluster() != known.GetCluster():
		return status.Errorf(codes.InvalidArgument, "the stream of node %q can't become that of %q", known.GetId(), node.GetId())
	}
	slim(node)
	return nil
}

func (s *session) leave() {
	s.cut(nil)
	s.mu.Lock()
	s.target = nil
	for _, st := range s.types {
		s.settled(st)
	}
	s.mu.Unlock()
	if s.proxy != nil {
		s.server.quit(s)
	}
}

// assign sets where the proxy should be.
func (s *session) assign(target *snapshot.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if target == nil || s.target == nil || target.ID != s.target.ID {
		s.served, s.assigned = false, time.Now()
		s.halted.Store(false)
	}
	s.target = s.own(target)
	s.advance()
}

// own is the snapshot with listeners where this proxy has them.
func (s *session) own(target *snapshot.Snapshot) *snapshot.Snapshot {
	if target == nil {
		return nil
	}
	view, err := target.For(s.node)
	if err != nil {
		s.server.log.Error("a proxy's listeners can't be moved: it keeps what it has", "node", s.node.GetId(), "error", err)
		return nil
	}
	return view
}

func (s *session) state(url string) *typeState {
	st := s.types[url]
	if st == nil {
		st = &typeState{url: url}
		s.types[url] = st
	}
	return st
}
