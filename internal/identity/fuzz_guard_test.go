package identity

import (
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// received is a stream on which messages have come, each behind its length.
type received struct {
	grpc.ServerStream
	bytes []byte
}

func (r *received) RecvMsg(m any) error {
	message, n := protowire.ConsumeBytes(r.bytes)
	if n < 0 {
		return io.EOF
	}
	r.bytes = r.bytes[n:]
	return proto.Unmarshal(message, m.(proto.Message))
}

// Whatever comes on a stream of whichever service, and in whatever order, what is let through is of
// the one node that the certificate is of, and of the fleets that its rule names.
func FuzzGuard(f *testing.F) {
	node := func(id string) []byte {
		b, err := proto.Marshal(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: id}})
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	join := func(messages ...[]byte) (out []byte) {
		for _, m := range messages {
			out = protowire.AppendBytes(out, m)
		}
		return out
	}
	f.Add(join(node("edge-1"), nil, node("edge-1"), node("edge-2")), uint8(0))
	f.Add(join(node("edge-2")), uint8(1))
	f.Add(join(nil, node("edge-1")), uint8(2))
	f.Add(join(node("edge-1"), node("")), uint8(0))
	rules, err := ParseRules(`[{dns: "edge-1", nodes: ["edge-1", "edge-1-*"], fleets: [edge]}]`)
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	f.Fuzz(func(t *testing.T, messages []byte, service uint8) {
		keeper := &Keeper{now: func() time.Time { return now }}
		keeper.current.Store(&material{client: &bundle{}})
		guard := New(slog.New(slog.DiscardHandler), keeper, rules)
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		peer := &Peer{Conn: near, raw: near, guard: guard, name: "edge-1", grant: rules.grant(&x509.Certificate{DNSNames: []string{"edge-1"}}), by: keeper.current.Load().client, until: now.Add(time.Hour)}
		stream := &guarded{ServerStream: &received{bytes: messages}, guard: guard, peer: peer}
		said := ""
		for range 100 {
			m := []proto.Message{&discoveryv3.DeltaDiscoveryRequest{}, &discoveryv3.DiscoveryRequest{}, &healthv3.HealthCheckRequestOrEndpointHealthResponse{}, &corev3.Node{}}[service%4]
			err := stream.RecvMsg(m)
			if err != nil {
				if c := status.Code(err); c != codes.PermissionDenied && c != codes.Unknown {
					t.Errorf("it is refused with %v", err)
				}
				return
			}
			node, known := nodeOf(m)
			if id := node.GetId(); id != "" {
				if said != "" && id != said {
					t.Errorf("a stream of %q became that of %q", said, id)
				}
				said = id
			}
			if !known || said == "" || !peer.grant.allows(said) || len(said) < len("edge-1") || said[:6] != "edge-1" {
				t.Errorf("a message of %q is let through: %v", said, m)
			}
			if node != nil && (fleet.MayBeOf(node, "other") || !fleet.MayBeOf(node, "edge")) {
				t.Errorf("it may be of another fleet: %v", node)
			}
		}
	})
}
