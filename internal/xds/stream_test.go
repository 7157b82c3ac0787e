package xds

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// slowStream is a stream whose proxy takes a response when the test does.
type slowStream struct {
	grpc.ServerStream
	ctx context.Context
	end context.CancelFunc
	out chan any
}

func (s *slowStream) Context() context.Context {
	return grpc.NewContextWithServerTransportStream(s.ctx, ending{end: s.end})
}

func (s *slowStream) SendMsg(m any) error {
	select {
	case s.out <- m:
		return nil
	case <-s.ctx.Done():
		return io.EOF
	}
}

// ending is gRPC's side of the stream.
type ending struct {
	grpc.ServerTransportStream
	end context.CancelFunc
}

func (e ending) WriteStatus(*status.Status) error { e.end(); return nil }

// slow is a session with such a proxy.
func slow(t *testing.T, sotw bool) (*session, *slowStream) {
	t.Helper()
	stream := &slowStream{out: make(chan any)}
	stream.ctx, stream.end = context.WithCancel(t.Context())
	s, err := newSession(stream, NewServer(slog.New(slog.DiscardHandler), Limits{}), sotw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.leave(nil) })
	return s, stream
}

func (s *session) ask(t *testing.T, req any) {
	t.Helper()
	var err error
	switch req := req.(type) {
	case *discoveryv3.DeltaDiscoveryRequest:
		req.Node = &corev3.Node{Id: "a"}
		err = s.deltaRequest(req)
	case *discoveryv3.DiscoveryRequest:
		req.Node = &corev3.Node{Id: "a"}
		err = s.sotwRequest(req)
	}
	if err != nil {
		t.Fatal(err)
	}
}

const endpointsYAML = `  endpoints:
    - {cluster_name: echo, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}
`

// A response that waits behind another, while its proxy does not read, is not sent
// if the proxy does not want it any more.
func TestResponseGivenUp(t *testing.T) {
	s, stream := slow(t, false)
	text := strings.ReplaceAll(fleetYAML, "type: STATIC, load_assignment: {cluster_name: %s}}",
		"type: EDS, eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}}") + endpointsYAML
	target := buildOf(t, strings.ReplaceAll(text, "%s", "echo"), "1")
	s.ask(t, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.ClusterType})
	s.ask(t, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.EndpointType, ResourceNamesSubscribe: []string{"echo"}})
	s.ask(t, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.ExtensionConfigType, ResourceNamesSubscribe: []string{"auth"}})
	s.assign(Target{Snapshot: target, Confirmed: true}) // its clusters, then its endpoints are to go out: nothing has been read yet
	s.ask(t, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.EndpointType, ResourceNamesUnsubscribe: []string{"echo"}})
	var got []string
	for range 2 {
		m := (<-stream.out).(*discoveryv3.DeltaDiscoveryResponse)
		got = append(got, m.GetTypeUrl())
		s.ask(t, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: m.GetTypeUrl(), ResponseNonce: m.GetNonce()})
	}
	if !slices.Equal(got, []string{resource.ClusterType, resource.ExtensionConfigType}) {
		t.Errorf("sent %q", got)
	}
}

// A state-of-the-world request that was sent before its proxy had the last response
// says nothing: the answer to that response repeats all that it asks for.
func TestStaleRequest(t *testing.T) {
	s, stream := slow(t, true)
	s.ask(t, &discoveryv3.DiscoveryRequest{TypeUrl: resource.ClusterType})
	s.assign(Target{Snapshot: build(t, "echo", "1"), Confirmed: true})
	m := (<-stream.out).(*discoveryv3.DiscoveryResponse)
	s.ask(t, &discoveryv3.DiscoveryRequest{TypeUrl: m.GetTypeUrl(), ResponseNonce: m.GetNonce(), VersionInfo: m.GetVersionInfo()})
	names := func() []string {
		var out []string
		for name := range s.types[resource.ExtensionConfigType].sub.SubscribedResources() {
			out = append(out, name)
		}
		slices.Sort(out)
		return out
	}
	s.ask(t, &discoveryv3.DiscoveryRequest{TypeUrl: resource.ExtensionConfigType, ResourceNames: []string{"auth"}})
	m = (<-stream.out).(*discoveryv3.DiscoveryResponse)
	s.ask(t, &discoveryv3.DiscoveryRequest{TypeUrl: m.GetTypeUrl(), ResourceNames: []string{"auth", "stale"}})
	if got := names(); !slices.Equal(got, []string{"auth"}) {
		t.Errorf("after a stale request %q are asked for", got)
	}
	s.ask(t, &discoveryv3.DiscoveryRequest{
		TypeUrl: m.GetTypeUrl(), ResponseNonce: m.GetNonce(), VersionInfo: m.GetVersionInfo(), ResourceNames: []string{"auth", "new"},
	})
	if got := names(); !slices.Equal(got, []string{"auth", "new"}) {
		t.Errorf("after the answer %q are asked for", got)
	}
}

func TestRequestWithoutType(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		s, _ := slow(t, sotw)
		err := s.deltaRequest(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: "a"}})
		if sotw {
			err = s.sotwRequest(&discoveryv3.DiscoveryRequest{Node: &corev3.Node{Id: "a"}})
		}
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("it is answered %v", err)
		}
	})
}
