package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/structpb"

	"go.yaml.in/yaml/v3"
)

// A special reads a message that is written otherwise than as a mapping of its fields.
// It reports whether it did: durations, say, may be written as {seconds: 1} as well.
type special func(r *messageReader, n *yaml.Node, m protoreflect.Message, depth int) bool

// wellKnown is how a type is read that JSON has a form of its own for, or nil.
// https://protobuf.dev/programming-guides/json/
func wellKnown(name protoreflect.FullName) special {
	kind, ok := strings.CutPrefix(string(name), "google.protobuf.")
	switch {
	case !ok:
		return nil
	case kind == "Any":
		return (*messageReader).any
	case kind == "Struct", kind == "Value", kind == "ListValue":
		return (*messageReader).structure
	case kind == "Duration", kind == "Timestamp", kind == "FieldMask":
		return (*messageReader).byText
	case strings.HasSuffix(kind, "Value"):
		return (*messageReader).wrapper
	}
	return nil
}

// wrapper reads a wrapped value: 5, or {value: 5}.
func (r *messageReader) wrapper(n *yaml.Node, m protoreflect.Message, depth int) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	if v, ok := r.single(n, m.Descriptor().Fields().ByName("value"), depth); ok {
		m.Set(m.Descriptor().Fields().ByName("value"), v)
	}
	return true
}

// byText reads what is written as text: 1.5s, 2006-01-02T15:04:05Z.
func (r *messageReader) byText(n *yaml.Node, m protoreflect.Message, _ int) bool {
	if n.Kind == yaml.MappingNode {
		return false
	}
	name := m.Descriptor().Name()
	quoted, err := json.Marshal(zeros.ReplaceAllString(n.Value, "$1$2")) // Envoy has no objection to 010s
	if isText := n.Kind == yaml.ScalarNode && scalarOf(n).kind == scalarText; isText && err == nil && (name != "Duration" || seconds.MatchString(n.Value)) {
		err = protojson.Unmarshal(quoted, m.Interface())
	} else {
		err = errors.New("not text")
	}
	switch {
	case err == nil:
	case name == "Duration":
		r.add(n, "invalid value for Duration: %s is not in seconds, like 0.25s or 300s", written(n))
	default:
		r.add(n, "invalid value for %s: %s", name, written(n))
	}
	return true
}

var (
	zeros   = regexp.MustCompile(`^(-?)0+(\d)`)
	seconds = regexp.MustCompile(`^-?\d+(\.\d+)?s$`)
)

// structure reads free-form data. A number that Envoy's loader has as text stays text.
func (r *messageReader) structure(n *yaml.Node, m protoreflect.Message, depth int) bool {
	v := r.free(n, depth)
	if v == nil {
		return true
	}
	switch into := m.Interface().(type) {
	case *structpb.Value:
		proto.Merge(into, v)
	case *structpb.Struct:
		if v.GetStructValue() == nil {
			r.add(n, "unexpected token %s: a mapping belongs here", written(n))
		}
		proto.Merge(into, v.GetStructValue())
	case *structpb.ListValue:
		if v.GetListValue() == nil {
			r.add(n, "unexpected token %s: a list belongs here", written(n))
		}
		proto.Merge(into, v.GetListValue())
	}
	return true
}

func (r *messageReader) free(n *yaml.Node, depth int) *structpb.Value {
	if n = resolve(n); !r.spend(n, depth) {
		return nil
	}
	switch n.Kind { //nolint:exhaustive // a scalar is what is left
	case yaml.MappingNode:
		fields := map[string]*structpb.Value{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			fields[resolve(n.Content[i]).Value] = r.free(n.Content[i+1], depth+1)
		}
		return structpb.NewStructValue(&structpb.Struct{Fields: fields})
	case yaml.SequenceNode:
		list := &structpb.ListValue{}
		for _, item := range n.Content {
			list.Values = append(list.Values, r.free(item, depth+1))
		}
		return structpb.NewListValue(list)
	}
	s := scalarOf(n)
	switch s.kind {
	case scalarNull:
		return structpb.NewNullValue()
	case scalarBool:
		return structpb.NewBoolValue(s.bool)
	case scalarNumber:
		return structpb.NewNumberValue(float64(s.num))
	case scalarText:
	}
	return structpb.NewStringValue(s.text)
}

const typeKey = "@type"

// any reads a message with its type beside its fields. Types that are written otherwise
// stand under `value`; an empty mapping is an Any of nothing, which extensions refuse.
func (r *messageReader) any(n *yaml.Node, m protoreflect.Message, depth int) bool {
	if n.Kind != yaml.MappingNode {
		r.add(n, "unexpected token %s: a mapping with %q belongs here", written(n), typeKey)
		return true
	}
	key, value := exactPair(n, typeKey)
	switch {
	case key == nil && len(n.Content) == 0:
	case key == nil:
		r.add(n, "%q is missing: what message this is", typeKey)
	default:
		r.packed(n, resolve(value), m, depth)
	}
	return true
}

// packed reads the message of an Any.
func (r *messageReader) packed(n, at *yaml.Node, into protoreflect.Message, depth int) {
	kind, err := messageType(at.Value)
	if err != nil {
		r.add(at, "%v", err)
		return
	}
	content := kind.New()
	if name := content.Descriptor().FullName(); wellKnown(name) == nil {
		r.fields(n, content, depth, typeKey)
		r.typedStruct(n, content, depth)
	} else {
		r.underValue(n, content, depth)
	}
	raw, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(content.Interface())
	if err != nil {
		r.add(n, "%v", err)
		return
	}
	fields := into.Descriptor().Fields()
	into.Set(fields.ByName("type_url"), protoreflect.ValueOfString(at.Value))
	into.Set(fields.ByName("value"), protoreflect.ValueOfBytes(raw))
}

func (r *messageReader) underValue(n *yaml.Node, content protoreflect.Message, depth int) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch key := resolve(n.Content[i]); key.Value {
		case typeKey:
		case "value":
			if v := resolve(n.Content[i+1]); !isNullNode(v) || content.Descriptor().Name() == "Value" {
				r.message(v, content, depth+1)
			}
		default:
			r.add(key, "unknown field %q: a %s stands under value", key.Value, content.Descriptor().Name())
		}
	}
}

// versioned is the part of a name that says of which version of Envoy's API it is.
var versioned = regexp.MustCompile(`\.v([12])(alpha\d*)?\.`)

// messageType finds the message of a type URL. That of Envoy's API of before 2020 is
// known here, to say so, and no Envoy that this server speaks to takes it.
func messageType(url string) (protoreflect.MessageType, error) {
	i := strings.LastIndexByte(url, '/')
	if i < 1 {
		return nil, fmt.Errorf("%s: %q is not like type.googleapis.com/NAME", typeKey, url)
	}
	name := url[i+1:]
	kind, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	switch {
	case strings.HasPrefix(name, "envoy.") && versioned.MatchString(name) && !strings.Contains(name, ".v3."):
		return nil, fmt.Errorf("unable to resolve %q: that is of version 2 of Envoy's API, which Envoy has not had since 1.18", url)
	case err != nil:
		return nil, fmt.Errorf("unable to resolve %q: there is no such message in Envoy", url)
	}
	return kind, nil
}

// exactPair finds a key of a mapping, spelt exactly so, and its value, or nil.
func exactPair(n *yaml.Node, key string) (k, v *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := resolve(n.Content[i]); k.Value == key {
			return k, n.Content[i+1]
		}
	}
	return nil, nil
}
