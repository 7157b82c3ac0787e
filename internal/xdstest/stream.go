package xdstest

import (
	"context"

	"google.golang.org/grpc"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// A stream is one ADS stream, of either variant.
type stream struct {
	grpc grpc.ClientStream
	node *corev3.Node // nil once it was sent
	sotw bool
}

func open(ctx context.Context, conn grpc.ClientConnInterface, node *corev3.Node, sotw bool) (*stream, error) {
	method := discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName
	if sotw {
		method = discoveryv3.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName
	}
	both := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	s, err := conn.NewStream(ctx, both, method, grpc.ForceCodecV2(newCodec()), grpc.WaitForReady(true))
	return &stream{grpc: s, node: node, sotw: sotw}, err
}

// takeNode says who the proxy is, as Envoy does in the first request of a stream only.
func (s *stream) takeNode() *corev3.Node {
	node := s.node
	s.node = nil
	return node
}

func (s *stream) subscribe(typeURL string, names []string, have map[string]string, version string) error {
	if s.sotw {
		return s.grpc.SendMsg(&discoveryv3.DiscoveryRequest{
			Node: s.takeNode(), TypeUrl: typeURL, ResourceNames: names, VersionInfo: version,
		})
	}
	return s.grpc.SendMsg(&discoveryv3.DeltaDiscoveryRequest{
		Node: s.takeNode(), TypeUrl: typeURL, ResourceNamesSubscribe: names, InitialResourceVersions: have,
	})
}

func (s *stream) recv() (received, error) {
	r := received{sotw: s.sotw}
	err := s.grpc.RecvMsg(&r)
	r.full = s.sotw && whole(r.TypeURL)
	return r, err
}

func (s *stream) answer(r received, verdict error, version string, names []string) error {
	if s.sotw {
		return s.grpc.SendMsg(&discoveryv3.DiscoveryRequest{
			Node: s.takeNode(), TypeUrl: r.TypeURL, ResponseNonce: r.nonce, VersionInfo: version,
			ResourceNames: names, ErrorDetail: refusal(verdict),
		})
	}
	return s.grpc.SendMsg(&discoveryv3.DeltaDiscoveryRequest{
		Node: s.takeNode(), TypeUrl: r.TypeURL, ResponseNonce: r.nonce, ErrorDetail: refusal(verdict),
	})
}

// A received response, and what is needed to answer it.
type received struct {
	Response
	nonce string
	sotw  bool
	full  bool // it is the whole set of its type
}

// whole is whether a state-of-the-world response of a type is the whole set of it.
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#deleting-resources
func whole(typeURL string) bool {
	return typeURL == resource.ListenerType || typeURL == resource.ClusterType || typeURL == resource.ScopedRouteType
}
