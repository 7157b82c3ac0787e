package fleet

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
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

func orElse(n, other *yaml.Node) *yaml.Node {
	if n == nil {
		return other
	}
	return n
}
