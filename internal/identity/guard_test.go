package identity_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/certs"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/identity"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// services are the streams of the port: each opens one, and says how to send a node on it.
var services = map[string]func(context.Context, *grpc.ClientConn) (grpc.ClientStream, func(*corev3.Node) any, error){
	"delta": func(ctx context.Context, c *grpc.ClientConn) (grpc.ClientStream, func(*corev3.Node) any, error) {
		s, err := discoveryv3.NewAggregatedDiscoveryServiceClient(c).DeltaAggregatedResources(ctx)
		return s, func(n *corev3.Node) any {
			return &discoveryv3.DeltaDiscoveryRequest{Node: n, TypeUrl: resource.ListenerType}
		}, err
	},
	"sotw": func(ctx context.Context, c *grpc.ClientConn) (grpc.ClientStream, func(*corev3.Node) any, error) {
		s, err := discoveryv3.NewAggregatedDiscoveryServiceClient(c).StreamAggregatedResources(ctx)
		return s, func(n *corev3.Node) any {
			return &discoveryv3.DiscoveryRequest{Node: n, TypeUrl: resource.ListenerType}
		}, err
	},
	"health": func(ctx context.Context, c *grpc.ClientConn) (grpc.ClientStream, func(*corev3.Node) any, error) {
		s, err := healthv3.NewHealthDiscoveryServiceClient(c).StreamHealthCheck(ctx)
		return s, func(n *corev3.Node) any {
			return &healthv3.HealthCheckRequestOrEndpointHealthResponse{
				RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_HealthCheckRequest{HealthCheckRequest: &healthv3.HealthCheckRequest{Node: n}},
			}
		}, err
	},
	"metrics": func(ctx context.Context, c *grpc.ClientConn) (grpc.ClientStream, func(*corev3.Node) any, error) {
		s, err := metricsv3.NewMetricsServiceClient(c).StreamMetrics(ctx)
		return s, func(n *corev3.Node) any {
			m := &metricsv3.StreamMetricsMessage{}
			if n != nil {
				m.Identifier = &metricsv3.StreamMetricsMessage_Identifier{Node: n}
			}
			return m
		}, err
	},
}

// says sends messages on a stream of a service, and returns how that ended.
func (p *port) says(service string, conn *grpc.ClientConn, nodes ...*corev3.Node) error {
	p.t.Helper()
	stream, message, err := services[service](p.ctx, conn)
	for _, n := range nodes {
		if err == nil {
			err = stream.SendMsg(message(n))
		}
	}
	if err != nil && !errors.Is(err, io.EOF) { // EOF: receiving says why
		return err
	}
	return p.end(stream)
}

// end is how a stream ended. What was sent before, an empty plan of health checks, is let go.
func (p *port) end(stream grpc.ClientStream) (err error) {
	for err == nil {
		err = stream.RecvMsg(&emptypb.Empty{})
	}
	return err
}

// On no stream of any service a node can be claimed that the certificate is not of.
func TestOtherNodes(t *testing.T) {
	p := guarded(t, "", "edge-1", "edge-2")
	conn := p.as("edge-1")
	for service := range services {
		for what, c := range map[string]struct {
			nodes  []*corev3.Node
			reason identity.Reason
		}{
			"another's":           {[]*corev3.Node{node("edge-2")}, identity.OtherNode},
			"nobody's":            {[]*corev3.Node{node("")}, identity.NoNode},
			"none":                {[]*corev3.Node{nil}, identity.NoNode},
			"of several lines":    {[]*corev3.Node{node("edge-1\nedge-2")}, identity.OtherNode},
			"of much more length": {[]*corev3.Node{node(string(make([]byte, 100_000)) + "edge-1")}, identity.OtherNode},
		} {
			before := p.refused(c.reason)
			if err := p.says(service, conn, c.nodes...); status.Code(err) != codes.PermissionDenied {
				t.Errorf("%s, a node that is %s: %v", service, what, err)
			}
			if got := p.refused(c.reason) - before; got != 1 {
				t.Errorf("%s, a node that is %s: %d refusals counted as %s", service, what, got, c.reason)
			}
			p.silent()
		}
	}
}

// A stream can't become that of another node, be it one that the certificate may claim.
func TestNodeChanges(t *testing.T) {
	p := guarded(t, `[{dns: edge-1, nodes: ["edge-*"]}]`, "edge-1")
	for service := range services {
		for _, then := range []string{"edge-2", "other", ""} {
			before := p.refused(identity.NodeChanged)
			if err := p.says(service, p.as("edge-1"), node("edge-1"), nil, node("edge-1"), node(then)); status.Code(err) != codes.PermissionDenied {
				t.Errorf("%s, a node that becomes %q: %v", service, then, err)
			}
			if p.refused(identity.NodeChanged) != before+1 {
				t.Errorf("%s, a node that becomes %q: not counted", service, then)
			}
			for _, e := range p.Events() {
				if e.ID() != "edge-1" {
					t.Errorf("%s: an event of %q", service, e.ID())
				}
			}
		}
	}
}

// Whoever proves to be a node is let through, with the fleets that it may be of and not those
// that it says.
func TestOwnNode(t *testing.T) {
	p := guarded(t, `[{dns: "*", nodes: ["{1}"], fleets: [edge]}]`, "edge-1")
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	stream, message, err := services["delta"](ctx, p.as("edge-1"))
	if err != nil {
		t.Fatal(err)
	}
	own := node("edge-1")
	fleet.Restrict(own, []string{"other"})
	if err := stream.SendMsg(message(own)); err != nil {
		t.Fatal(err)
	}
	e := p.next()
	if e.Kind != xds.Connected || e.ID() != "edge-1" || !fleet.MayBeOf(e.Node, "edge") || fleet.MayBeOf(e.Node, "other") {
		t.Errorf("event %+v", e)
	}
}

// Who does not prove to be anybody gets to no stream, and is counted by why.
func TestHandshakes(t *testing.T) {
	p := guarded(t, "", "edge-1")
	now := time.Now()
	ours := p.authority()
	other, err := certs.NewAuthority("other", now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	issued := func(a *certs.Authority, r certs.Request, from, until time.Duration) credentials.TransportCredentials {
		r.DNS, r.From, r.Until = []string{"edge-1"}, now.Add(from), now.Add(until)
		made, err := a.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		c, err := tls.X509KeyPair(made.Cert, made.Key)
		if err != nil {
			t.Fatal(err)
		}
		return presenting(c)
	}
	for what, c := range map[string]struct {
		by     credentials.TransportCredentials
		reason identity.Reason
	}{
		"no certificate":       {credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}), identity.NoCertificate},
		"expired":              {issued(ours, certs.Request{}, -2*time.Hour, -time.Hour), identity.Expired},
		"not yet valid":        {issued(ours, certs.Request{}, time.Hour, 2*time.Hour), identity.NotYetValid},
		"of another CA":        {issued(other, certs.Request{}, -time.Hour, time.Hour), identity.Untrusted},
		"that of a server":     {issued(ours, certs.Request{Server: true}, -time.Hour, time.Hour), identity.Untrusted},
		"plain text":           {insecure.NewCredentials(), identity.Handshake},
		"an old version":       {credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}), identity.Handshake},
		"signed by its fellow": {p.fellow(), identity.Untrusted},
	} {
		before := p.refused(c.reason)
		ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
		stream, message, err := services["delta"](ctx, p.dial(c.by))
		if err == nil {
			_ = stream.SendMsg(message(node("edge-1")))
			err = stream.RecvMsg(&discoveryv3.DeltaDiscoveryResponse{})
		}
		cancel()
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
		p.eventually(what+" is counted", func() bool { return p.refused(c.reason) > before })
		p.silent()
	}
}

// A certificate that nothing maps to a node is let to no stream.
func TestUnmapped(t *testing.T) {
	p := guarded(t, `[{cn: someone-else, nodes: ["*"]}]`, "edge-1")
	for service := range services {
		before := p.refused(identity.Unmapped)
		if err := p.says(service, p.as("edge-1"), node("edge-1")); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", service, err)
		}
		if p.refused(identity.Unmapped) != before+1 {
			t.Errorf("%s: not counted", service)
		}
	}
	p.silent()
}
