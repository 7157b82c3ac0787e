package xds

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that this one is built on
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// codec is gRPC's protobuf codec, but for discovery responses: it puts the
// resources of a snapshot into the message by reference instead of marshalling
// and copying them for each proxy. Fields of a protobuf message may be
// concatenated, so what goes over the wire is the same.
// https://protobuf.dev/programming-guides/encoding/#last-one-wins
type codec struct {
	encoding.CodecV2

	decoding chan struct{} // holds a token for each large request that is being decoded
}

func newCodec() codec { return codec{encoding.GetCodecV2("proto"), make(chan struct{}, 2)} }

// largeRequest is the size in bytes from which only so many requests are decoded at a time.
const largeRequest = 256 << 10

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *discoveryv3.DeltaDiscoveryResponse:
		return c.delta(m)
	case *discoveryv3.DiscoveryResponse:
		return c.stateOfTheWorld(m)
	}
	return c.CodecV2.Marshal(v)
}

// Field numbers of envoy/service/discovery/v3/discovery.proto and of Any.
var (
	deltaResources = number(&discoveryv3.DeltaDiscoveryResponse{}, "resources")
	resourceAny    = number(&discoveryv3.Resource{}, "resource")
	sotwResources  = number(&discoveryv3.DiscoveryResponse{}, "resources")
	anyTypeURL     = number(&anypb.Any{}, "type_url")
	anyValue       = number(&anypb.Any{}, "value")
)

func number(m proto.Message, field protoreflect.Name) protowire.Number {
	return m.ProtoReflect().Descriptor().Fields().ByName(field).Number()
}

func (c codec) delta(m *discoveryv3.DeltaDiscoveryResponse) (mem.BufferSlice, error) {
	w := writer{}
	w.message(&discoveryv3.DeltaDiscoveryResponse{
		SystemVersionInfo: m.GetSystemVersionInfo(), TypeUrl: m.GetTypeUrl(), RemovedResources: m.GetRemovedResources(),
		RemovedResourceNames: m.GetRemovedResourceNames(), Nonce: m.GetNonce(), ControlPlane: m.GetControlPlane(),
		ResourceErrors: m.GetResourceErrors(),
	})
	for _, r := range m.GetResources() {
		head := &discoveryv3.Resource{
			Name: r.GetName(), ResourceName: r.GetResourceName(), Version: r.GetVersion(), Aliases: r.GetAliases(),
			Ttl: r.GetTtl(), CacheControl: r.GetCacheControl(), Metadata: r.GetMetadata(),
		}
		w.tag(deltaResources, proto.Size(head)+fieldSize(resourceAny, anySize(r.GetResource())))
		w.message(head)
		w.any(resourceAny, r.GetResource())
	}
	return w.finish()
}

func (c codec) stateOfTheWorld(m *discoveryv3.DiscoveryResponse) (mem.BufferSlice, error) {
	w := writer{}
	w.message(&discoveryv3.DiscoveryResponse{
		VersionInfo: m.GetVersionInfo(), Canary: m.GetCanary(), TypeUrl: m.GetTypeUrl(), Nonce: m.GetNonce(),
		ControlPlane: m.GetControlPlane(), ResourceErrors: m.GetResourceErrors(),
	})
	for _, r := range m.GetResources() {
		w.any(sotwResources, r)
	}
	return w.finish()
}

// byReference is the size in bytes from which a value is worth a buffer of its own.
const byReference = 1024

// writer builds a message of small pieces that it writes and large ones that it
// only refers to.
type writer struct {
	out   mem.BufferSlice
	small []byte
	err   error
}

func (w *writer) message(m proto.Message) {
	b, err := proto.MarshalOptions{}.MarshalAppend(w.small, m)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("marshalling a discovery response: %w", err)
	}
	w.small = b
}

// tag begins a field of size bytes.
func (w *writer) tag(n protowire.Number, size int) {
	w.small = protowire.AppendTag(w.small, n, protowire.BytesType)
	w.small = protowire.AppendVarint(w.small, uint64(size))
}

// any writes a packed message, a large value by reference.
func (w *writer) any(n protowire.Number, a *anypb.Any) {
	w.tag(n, anySize(a))
	w.tag(anyTypeURL, len(a.GetTypeUrl()))
	w.small = append(w.small, a.GetTypeUrl()...)
	w.tag(anyValue, len(a.GetValue()))
	if len(a.GetValue()) < byReference {
		w.small = append(w.small, a.GetValue()...)
		return
	}
	w.flush()
	w.out = append(w.out, mem.SliceBuffer(a.GetValue()))
}

func (w *writer) flush() {
	if len(w.small) > 0 {
		w.out = append(w.out, mem.SliceBuffer(w.small))
		w.small = nil
	}
}

func (w *writer) finish() (mem.BufferSlice, error) {
	w.flush()
	return w.out, w.err
}

func anySize(a *anypb.Any) int {
	return fieldSize(anyTypeURL, len(a.GetTypeUrl())) + fieldSize(anyValue, len(a.GetValue()))
}

func fieldSize(n protowire.Number, size int) int {
	return protowire.SizeTag(n) + protowire.SizeBytes(size)
}
