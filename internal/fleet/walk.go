package fleet

import (
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	"go.yaml.in/yaml/v3"
)

// visit calls fn for m and for every message below it, what is packed in an Any
// included, each with the YAML value that it was written as. inAny says that m
// was the content of an Any: the validation of the message around it does not
// reach it. n may be nil, and so are then the nodes that fn is given.
func visit(m proto.Message, n *yaml.Node, fn func(m proto.Message, n *yaml.Node, inAny bool)) {
	visitMessage(m, n, false, fn)
}

func visitMessage(m proto.Message, n *yaml.Node, inAny bool, fn func(proto.Message, *yaml.Node, bool)) {
	if packed, ok := m.(*anypb.Any); ok {
		// What protojson could read it could also pack, so that this can fail
		// only for an Any that is empty.
		if content, err := packed.UnmarshalNew(); err == nil {
			visitMessage(content, n, true, fn)
		}
		return
	}
	if content := typedStruct(m); content != nil {
		visitMessage(content, orElse(child(n, "value"), n), true, fn)
		return
	}
	fn(m, n, inAny)
	m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := child(n, string(field.Name()))
		if at == nil {
			at = n
		}
		switch {
		case field.IsMap():
			v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
				if field.MapValue().Message() != nil {
					visitMessage(v.Message().Interface(), orElse(child(at, key.String()), at), false, fn)
				}
				return true
			})
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				visitMessage(v.List().Get(i).Message().Interface(), orElse(item(at, i), at), false, fn)
			}
		default:
			visitMessage(v.Message().Interface(), at, false, fn)
		}
		return true
	})
}

// typedStruct is the message that a TypedStruct writes as JSON, in which Envoy takes
// any extension, or nil: for another message, and for an extension that only the
// proxies know.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/extension#configuring-a-filter-with-typedstruct
func typedStruct(m proto.Message) proto.Message {
	r := m.ProtoReflect()
	switch r.Descriptor().FullName() {
	case "xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct": // its name now, and before
	default:
		return nil
	}
	fields := r.Descriptor().Fields()
	kind, err := protoregistry.GlobalTypes.FindMessageByURL(r.Get(fields.ByName("type_url")).String())
	if err != nil {
		return nil
	}
	text, err := protojson.Marshal(r.Get(fields.ByName("value")).Message().Interface())
	content := kind.New().Interface()
	// What Envoy could not read either, it refuses; nothing in it takes effect.
	if err != nil || (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, content) != nil {
		return nil
	}
	return content
}

// Content is what is packed in an Any, written there as itself or by a TypedStruct; nil
// where the message is not known, which only the proxies then can read.
func Content(packed *anypb.Any) proto.Message {
	m, err := packed.UnmarshalNew()
	if err != nil {
		return nil
	}
	if content := typedStruct(m); content != nil {
		return content
	}
	return m
}

func orElse(n, other *yaml.Node) *yaml.Node {
	if n == nil {
		return other
	}
	return n
}
