package xds

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

func TestCodecWritesTheSameMessage(t *testing.T) {
	large := &anypb.Any{TypeUrl: "type.googleapis.com/large", Value: bytes.Repeat([]byte{0xff, 0}, 300_000)}
	small := &anypb.Any{TypeUrl: "type.googleapis.com/small", Value: []byte("x")}
	for name, m := range map[string]proto.Message{
		"empty delta": &discoveryv3.DeltaDiscoveryResponse{},
		"empty sotw":  &discoveryv3.DiscoveryResponse{},
		"delta": &discoveryv3.DeltaDiscoveryResponse{
			SystemVersionInfo: "v", TypeUrl: "t", Nonce: "7", RemovedResources: []string{"a", "b"},
			ControlPlane: &corev3.ControlPlane{Identifier: "c"},
			Resources: []*discoveryv3.Resource{
				{Name: "large", Version: "1", Resource: large, Aliases: []string{"l"}, Ttl: durationpb.New(1)},
				{Name: "small", Version: "2", Resource: small},
				{Name: "empty", Version: "3", Resource: &anypb.Any{}},
				{Name: "none"},
			},
		},
		"sotw": &discoveryv3.DiscoveryResponse{
			VersionInfo: "v", TypeUrl: "t", Nonce: "7", Canary: true, Resources: []*anypb.Any{small, large, small},
		},
		"another message": small,
	} {
		out, err := newCodec().Marshal(m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := m.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(out.Materialize(), got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d, ok := m.(*discoveryv3.DeltaDiscoveryResponse); ok {
			for _, r := range d.GetResources() { // an absent Any is written as an empty one
				if r.Resource == nil {
					r.Resource = &anypb.Any{}
				}
			}
		}
		if !proto.Equal(m, got) {
			t.Errorf("%s: read back %v", name, got)
		}
	}
}

// A field that the API gains must not get lost on the way.
func TestCodecWritesEveryField(t *testing.T) {
	resource := &discoveryv3.Resource{}
	fill(resource, "resource")
	resource.Resource = &anypb.Any{TypeUrl: "t", Value: []byte("v")}
	delta, sotw := &discoveryv3.DeltaDiscoveryResponse{}, &discoveryv3.DiscoveryResponse{}
	fill(delta, "resources")
	fill(sotw, "resources")
	delta.Resources, sotw.Resources = []*discoveryv3.Resource{resource}, []*anypb.Any{resource.Resource}
	for _, m := range []proto.Message{delta, sotw} {
		out, err := newCodec().Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got := m.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(out.Materialize(), got); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(m, got) {
			t.Errorf("wrote %v\nread %v", m, got)
		}
	}
}

// fill sets every field of a message but one.
func fill(m proto.Message, except protoreflect.Name) {
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f, value := fields.Get(i), m.ProtoReflect().NewField(fields.Get(i))
		switch {
		case f.Name() == except:
			continue
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			value.List().AppendMutable()
		case f.IsList():
			value.List().Append(protoreflect.ValueOfString("x"))
		case f.Kind() == protoreflect.BoolKind:
			value = protoreflect.ValueOfBool(true)
		case f.Kind() == protoreflect.StringKind:
			value = protoreflect.ValueOfString("x")
		}
		m.ProtoReflect().Set(f, value)
	}
}

func TestCodecRefersToLargeValues(t *testing.T) {
	value := make([]byte, 1<<20)
	m := &discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{{TypeUrl: "t", Value: value}}}
	out, err := newCodec().Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range out {
		if d := b.ReadOnlyData(); len(d) == len(value) && &d[0] == &value[0] {
			return
		}
	}
	t.Error("the value was copied")
}
