package fleet

import (
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

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
// proxies know. It is read as Envoy reads it; what is wrong in it was said when the file was read.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/extension#configuring-a-filter-with-typedstruct
func typedStruct(m proto.Message) proto.Message {
	content, value := contentOf(m.ProtoReflect())
	if content == nil {
		return nil
	}
	r := messageReader{problems: &problems{}, values: maxValues}
	r.message(structNode(structpb.NewStructValue(value)), content.ProtoReflect(), 0)
	return content
}

// contentOf is an empty message of a TypedStruct's type, and what is to be read into it.
func contentOf(r protoreflect.Message) (proto.Message, *structpb.Struct) {
	switch r.Descriptor().FullName() {
	case "xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct":
	default:
		return nil, nil
	}
	fields := r.Descriptor().Fields()
	kind, err := messageType(r.Get(fields.ByName("type_url")).String())
	if err != nil || kind.Descriptor().FullName() == "google.protobuf.Struct" {
		return nil, nil
	}
	value, _ := r.Get(fields.ByName("value")).Message().Interface().(*structpb.Struct)
	return kind.New().Interface(), value
}

// structNode is free-form data as YAML, to be read as it would be from a file.
func structNode(v *structpb.Value) *yaml.Node {
	switch v := v.GetKind().(type) {
	case *structpb.Value_StructValue:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for key, value := range v.StructValue.GetFields() {
			n.Content = append(n.Content, quotedNode(key), structNode(value))
		}
		return n
	case *structpb.Value_ListValue:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, value := range v.ListValue.GetValues() {
			n.Content = append(n.Content, structNode(value))
		}
		return n
	case *structpb.Value_StringValue:
		return quotedNode(v.StringValue)
	case *structpb.Value_BoolValue:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatBool(v.BoolValue)}
	case *structpb.Value_NumberValue:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatFloat(v.NumberValue, 'f', -1, 64)}
	}
	return &yaml.Node{Kind: yaml.ScalarNode}
}

func quotedNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: text}
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
