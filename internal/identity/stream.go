package identity

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// stream guards a stream of any service of the port: no message of one gets to its handler
// that the certificate of its connection does not allow.
func (g *Guard) stream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	from, _ := peer.FromContext(stream.Context())
	auth, ok := from.AuthInfo.(authInfo)
	if !ok {
		return status.Error(codes.Unauthenticated, "nobody knows who this is")
	}
	if len(auth.peer.grant.nodes) == 0 {
		g.Refuse(Unmapped, "peer", auth.peer.name, "from", auth.peer.RemoteAddr().String())
		return status.Errorf(codes.PermissionDenied, "no node id may be claimed with the certificate of %q", auth.peer.name)
	}
	return handler(srv, &guarded{ServerStream: stream, guard: g, peer: auth.peer})
}

// guarded is a stream whose messages are looked at.
type guarded struct {
	grpc.ServerStream

	guard *Guard
	peer  *Peer
	node  string // that it speaks for, "" before its first message
}

// RecvMsg implements grpc.ServerStream.
func (s *guarded) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if err := s.holds(); err != nil {
		return err
	}
	node, known := nodeOf(m)
	switch {
	case !known:
		return status.Errorf(codes.PermissionDenied, "a %T does not say whom it is from", m)
	case node.GetId() == "" && s.node == "":
		return s.refuse(NoNode, "", "the first message of a stream must have a node with an id")
	case node == nil: // those after it need none
		return nil
	case s.node != "" && node.GetId() != s.node:
		return s.refuse(NodeChanged, node.GetId(), "the stream of a node can't become that of another")
	case !s.peer.grant.allows(node.GetId()):
		return s.refuse(OtherNode, node.GetId(), "it is another's")
	}
	s.node = node.GetId()
	fleet.Restrict(node, s.peer.grant.fleets)
	return nil
}

// SendMsg implements grpc.ServerStream.
func (s *guarded) SendMsg(m any) error {
	if err := s.holds(); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}

// holds is nil while the certificate does. Guard.Run counts those that do not any more.
func (s *guarded) holds() error {
	if err := s.peer.proves(); err != nil {
		return status.Errorf(codes.PermissionDenied, "the certificate of %q does not hold any more: %v", s.peer.name, err)
	}
	return nil
}

func (s *guarded) refuse(reason Reason, node, why string) error {
	s.guard.Refuse(reason, "peer", s.peer.name, "node", shortened(node), "from", s.peer.RemoteAddr().String())
	return status.Errorf(codes.PermissionDenied, "with the certificate of %q the node %q can't be claimed: %s", s.peer.name, shortened(node), why)
}

// shortened is as much of what a client says as a line of the log may have.
func shortened(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// nodeOf is the node that a message is from, nil for that of the message before. Messages that
// are not known to say so are of a service that was added, and refused until they are.
func nodeOf(m any) (node *corev3.Node, known bool) {
	switch m := m.(type) {
	case *healthv3.HealthCheckRequestOrEndpointHealthResponse:
		return m.GetHealthCheckRequest().GetNode(), true
	case interface{ GetNode() *corev3.Node }: // of discovery and, as it is read here, of metrics
		return m.GetNode(), true
	}
	return nil, false
}
