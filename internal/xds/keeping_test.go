package xds

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// ends is how a stream ends on which these are sent.
func (h *harness) ends(t *testing.T, sent ...*discoveryv3.DeltaDiscoveryRequest) error {
	t.Helper()
	s := h.deltaStream(t)
	for _, m := range sent {
		_ = s.Send(m) // receiving says why
	}
	_, err := s.Recv()
	return err
}

// refusedFor checks that a stream was refused, with these words, and counted; and that nothing is
// kept of it.
func (h *harness) refusedFor(t *testing.T, err error, limit, words string) {
	t.Helper()
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), words) {
		t.Errorf("it ended with %v, want RESOURCE_EXHAUSTED: … %s", err, words)
	}
	if n := h.Stats().Clients.Refused[limit]; n != 1 {
		t.Errorf("%d refusals are counted as %s: %v", n, limit, h.Stats().Clients.Refused)
	}
	h.until("nothing is kept of it", func(s Stats) bool { return s.Clients.Kept == 0 && s.Streams == 0 })
}

func TestNodeIsBounded(t *testing.T) {
	h := serve(t, Limits{})
	labels := map[string]string{}
	for i := range 300 {
		labels[fmt.Sprint("label-", i)] = "x"
	}
	err := h.ends(t, &discoveryv3.DeltaDiscoveryRequest{Node: xdstest.Node("a", "edge", labels), TypeUrl: resource.ListenerType})
	h.refusedFor(t, err, "node", "what the node says of itself is too much")
}

func TestNamesAreBounded(t *testing.T) {
	ask := func(from, n int) *discoveryv3.DeltaDiscoveryRequest {
		m := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.SecretType}
		if from == 0 {
			m.Node = xdstest.Node("a", "edge", nil)
		}
		for i := range n {
			m.ResourceNamesSubscribe = append(m.ResourceNamesSubscribe, fmt.Sprint("n", from+i))
		}
		return m
	}
	for name, sent := range map[string][]*discoveryv3.DeltaDiscoveryRequest{"at once": {ask(0, 11)}, "one by one": {ask(0, 6), ask(6, 4), ask(10, 1)}} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, Limits{MaxNames: 10})
			h.refusedFor(t, h.ends(t, sent...), "max-names", "a stream asks for at most 10 resources by name")
		})
	}
	t.Run("bytes", func(t *testing.T) {
		h := serve(t, Limits{MaxClientBytes: 5000})
		h.refusedFor(t, h.ends(t, ask(0, 20)), "max-client-bytes", "the server keeps at most 5000 bytes of what the socket says")
	})
}

// Of a node that is kept which is read, and no more.
func TestSlim(t *testing.T) {
	node := xdstest.Node("a", "edge", map[string]string{"track": "canary"})
	node.Locality = &corev3.Locality{Region: "r", Zone: "z", SubZone: "s"}
	node.Metadata.Fields[fleet.ListenKey] = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"ingress": structpb.NewStringValue("1")}})
	node.Metadata.Fields[fleet.WaxwingKey] = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
		"shadow":   structpb.NewStringValue("127.0.0.1:1"),
		"evidence": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("metrics")}}),
	}})
	before, version := fleet.AttributesOf(node), Version(node)
	node.Metadata.Fields["more"] = structpb.NewStringValue(strings.Repeat("x", 1<<20))
	node.Extensions = []*corev3.Extension{{Name: "x"}}
	node.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1))
	slim(node)
	if size := sizeOf(node); size > 4000 || node.Metadata.Fields["more"] != nil || node.Extensions != nil || len(node.ProtoReflect().GetUnknown()) > 0 {
		t.Errorf("%d bytes are kept: %v", size, node)
	}
	if got := fleet.AttributesOf(node); fmt.Sprint(got) != fmt.Sprint(before) || Version(node) != version {
		t.Errorf("it is %v, and was %v", got, before)
	}
	if at, err := fleet.ListenAddresses(node); err != nil || len(at) != 1 {
		t.Errorf("it listens at %v, %v", at, err)
	}
	if at, err := fleet.ShadowAddress(node); err != nil || at == nil {
		t.Errorf("its shadow is at %v, %v", at, err)
	}
	if _, metrics := fleet.EvidenceOf(node); !metrics {
		t.Error("its evidence is lost")
	}
}
