package xdstest

import (
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// stream is one variant of the protocol.
type stream interface {
	subscribe(typeURL string, names []string, have map[string]string, version string) error
	recv() (received, error)
	answer(r received, verdict error, version string, names []string) error
}

type base struct {
	node *corev3.Node // nil once it was sent
}

func (b *base) takeNode() *corev3.Node {
	node := b.node
	b.node = nil
	return node
}

type deltaStream struct {
	base
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
}

func (s *deltaStream) subscribe(typeURL string, names []string, have map[string]string, _ string) error {
	return s.stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node: s.takeNode(), TypeUrl: typeURL, ResourceNamesSubscribe: names, InitialResourceVersions: have,
	})
}

func (s *deltaStream) recv() (received, error) {
	m, err := s.stream.Recv()
	if err != nil {
		return received{}, err
	}
	r := received{nonce: m.GetNonce(), Response: Response{
		TypeURL: m.GetTypeUrl(), Version: m.GetSystemVersionInfo(), Removed: m.GetRemovedResources(),
		Resources: map[string]string{}, Bytes: proto.Size(m),
	}}
	for _, res := range m.GetResources() {
		r.Resources[res.GetName()] = res.GetVersion()
	}
	return r, nil
}

func (s *deltaStream) answer(r received, verdict error, _ string, _ []string) error {
	return s.stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node: s.takeNode(), TypeUrl: r.TypeURL, ResponseNonce: r.nonce, ErrorDetail: refusal(verdict),
	})
}

type sotwStream struct {
	base
	stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
}

func (s *sotwStream) subscribe(typeURL string, names []string, _ map[string]string, version string) error {
	return s.stream.Send(&discoveryv3.DiscoveryRequest{
		Node: s.takeNode(), TypeUrl: typeURL, ResourceNames: names, VersionInfo: version,
	})
}

func (s *sotwStream) recv() (received, error) {
	m, err := s.stream.Recv()
	if err != nil {
		return received{}, err
	}
	r := received{nonce: m.GetNonce(), Response: Response{
		TypeURL: m.GetTypeUrl(), Version: m.GetVersionInfo(), Resources: map[string]string{}, Bytes: proto.Size(m),
	}}
	r.full = r.TypeURL == resource.ListenerType || r.TypeURL == resource.ClusterType
	for _, packed := range m.GetResources() {
		name, err := nameOf(packed.GetValue())
		if err != nil {
			return received{}, fmt.Errorf("a resource of type %s: %w", r.TypeURL, err)
		}
		r.Resources[name] = fmt.Sprintf("%08x", crc32.ChecksumIEEE(packed.GetValue()))
	}
	return r, nil
}

func (s *sotwStream) answer(r received, verdict error, version string, names []string) error {
	return s.stream.Send(&discoveryv3.DiscoveryRequest{
		Node: s.takeNode(), TypeUrl: r.TypeURL, ResponseNonce: r.nonce, VersionInfo: version,
		ResourceNames: names, ErrorDetail: refusal(verdict),
	})
}

// nameOf reads a resource's name without decoding the rest: it is field 1 of
// every resource type.
func nameOf(b []byte) (string, error) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return "", protowire.ParseError(n)
		}
		if number == 1 && kind == protowire.BytesType {
			name, n := protowire.ConsumeString(b[n:])
			return name, protowire.ParseError(n)
		}
		m := protowire.ConsumeFieldValue(number, kind, b[n:])
		if m < 0 {
			return "", protowire.ParseError(m)
		}
		b = b[n+m:]
	}
	return "", nil
}
