package xds

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A stream has one goroutine of its own, which receives. Responses are written by
// another that lives while there are some: most of the time most proxies are at
// rest, and ten thousand stacks are memory.

// DeltaAggregatedResources implements the discovery service.
func (s *Server) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.serve(stream, false, receiver(stream, (*session).deltaRequest))
}

// StreamAggregatedResources implements the discovery service.
func (s *Server) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.serve(stream, true, receiver(stream, (*session).sotwRequest))
}

// receiver receives a request of a stream's variant, and takes it.
func receiver[R any](stream interface{ Recv() (R, error) }, take func(*session, R) error) func(*session) error {
	return func(session *session) error {
		req, err := stream.Recv()
		if err != nil {
			return session.receiving(err)
		}
		return take(session, req)
	}
}

// serve runs one stream to its end, request by request.
func (s *Server) serve(stream grpc.ServerStream, sotw bool, take func(*session) error) error {
	s.enter(&s.streams)
	defer s.exit(&s.streams)
	session, err := newSession(stream, s, sotw)
	if err != nil {
		return err
	}
	for err == nil {
		err = take(session)
	}
	if errors.Is(err, io.EOF) {
		err = nil // the proxy has left in good order
	}
	session.leave(err)
	return err
}

// receiving notes why nothing more is received.
func (s *session) receiving(err error) error {
	if status.Code(err) == codes.ResourceExhausted {
		s.server.counts.refusedRequests.Add(1) // it is too large
	}
	return err
}

// transportStream is gRPC's stream below the one that a handler gets. To end that a
// handler returns, which waits for the proxy to say something; gRPC itself ends
// streams by this when one direction of them fails.
type transportStream interface {
	WriteStatus(s *status.Status) error
}

func transportOf(ctx context.Context) (transportStream, error) {
	t, ok := grpc.ServerTransportStreamFromContext(ctx).(transportStream)
	if !ok {
		return nil, status.Error(codes.Internal, "this version of gRPC has no way to end a stream")
	}
	return t, nil
}

// cut ends the stream: whoever receives or sends on it is told so at once. Of
// several reasons the proxy is told the first.
func (s *session) cut(why error) {
	_ = s.transport.WriteStatus(status.Convert(why)) // fails where the proxy is gone
}

// write sends what is to go out, until there is nothing more.
func (s *session) write() {
	for m := s.next(); m != nil; m = s.next() {
		if s.stream.SendMsg(m) != nil {
			return // receiving says why; nothing more goes out
		}
	}
}

// next takes the next response that is to go out, in the order that they were
// made; from then on an answer to it is awaited.
func (s *session) next() proto.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.outgoing) > 0 {
		st := s.outgoing[0]
		s.outgoing = s.outgoing[1:]
		if st.pending != nil { // else it was given up
			s.sent(st)
			return s.message(st.awaited, st.nonce)
		}
	}
	s.outgoing, s.writing = nil, false
	return nil
}

// sent notes that a push goes out, and under which nonce.
func (s *session) sent(st *typeState) {
	s.nonce++
	st.awaited, st.nonce, st.pending = st.pending, strconv.FormatInt(s.nonce, 10), nil
	st.resume, st.answered = "", true
	s.server.counts.pushes.Add(1)
	s.server.counts.pushedBytes.Add(int64(st.awaited.size()))
	if s.server.log.Enabled(s.stream.Context(), slog.LevelDebug) {
		s.server.log.Debug("sent", "node", s.node.GetId(), "revision", st.awaited.revision, "resources", st.awaited.String())
	}
	s.owns(st, st.awaited)
	st.have = st.awaited.have
	st.hold(st.awaited)
	if fullState(st.url) || fleet.KindOf(st.url).Apart {
		s.server.sets.put(st.url, st.awaited.version, st.awaited.add)
	}
	st.rebind(st.awaited)
	st.tell(st.awaited)
	if s.lapse(st.awaited, fleet.LapsesWhenSent) {
		s.advance()
	}
}

// message is a push for the wire. The resources are the snapshot's own; only the
// message around them is made for this proxy.
func (s *session) message(p *push, nonce string) proto.Message {
	if s.sotw {
		m := &discoveryv3.DiscoveryResponse{TypeUrl: p.url, VersionInfo: s.versioned(p), Nonce: nonce}
		for _, r := range p.add {
			m.Resources = append(m.Resources, s.wire(p, r).GetResource())
		}
		return m
	}
	m := &discoveryv3.DeltaDiscoveryResponse{
		TypeUrl: p.url, SystemVersionInfo: p.revision, Nonce: nonce, RemovedResources: slices.Concat(p.remove, p.absent),
	}
	for _, r := range p.add {
		m.Resources = append(m.Resources, s.wire(p, r))
	}
	return m
}
