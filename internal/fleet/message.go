package fleet

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"go.yaml.in/yaml/v3"
)

// A messageReader reads YAML into Envoy's messages as Envoy's own loader does, which
// first makes JSON of YAML, by rules of its own (scalarOf), and then a message of that
// JSON, by more than the standard's: enum values in any letter case, one value where a
// list is meant, a boolean as "yes". Done here in one step, by the message's descriptor,
// each error is at the line of the value that is wrong, and all are found at once.
type messageReader struct {
	problems *problems
	values   int // how many are left, aliases expanded
	wrong    bool
}

func (r *messageReader) add(n *yaml.Node, format string, args ...any) {
	r.wrong = true
	r.problems.add(n.Line, format, args...)
}

// spend counts a value, and reports whether there may be one more.
func (r *messageReader) spend(n *yaml.Node, depth int) bool {
	if r.values--; r.values == 0 || depth > maxDepth {
		r.add(n, "%s", tooLarge)
	}
	return r.values > 0 && depth <= maxDepth
}

// message reads a mapping into a message, or one of the types that are written otherwise.
func (r *messageReader) message(n *yaml.Node, m protoreflect.Message, depth int) {
	if n = resolve(n); !r.spend(n, depth) {
		return
	}
	if special := wellKnown(m.Descriptor().FullName()); special != nil && special(r, n, m, depth) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.add(n, "unexpected token %s: a mapping belongs here (%s)", writtenIn(n, m.Descriptor(), 0), m.Descriptor().Name())
		return
	}
	r.fields(n, m, depth, "")
}

// typedStruct reads what a TypedStruct holds for its errors' sake: a message of a known
// type must be well-formed, in this spelling too.
func (r *messageReader) typedStruct(n *yaml.Node, m protoreflect.Message, depth int) {
	if content, _ := contentOf(m); content != nil {
		if value := child(n, "value"); value != nil {
			r.message(value, content.ProtoReflect(), depth+1)
		}
	}
}

// fields reads a mapping's keys into a message's fields; one of them may be no field.
func (r *messageReader) fields(n *yaml.Node, m protoreflect.Message, depth int, skip string) {
	given := map[protoreflect.Name]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		if key.Value == skip {
			continue
		}
		field := fieldNamed(m.Descriptor(), key.Value)
		switch {
		case field == nil:
			r.add(key, "unknown field %q", key.Value)
		case isNullNode(value) && !takesNull(field): // as if it were not there
		case given[field.Name()]:
			r.add(key, "key %q is given twice", key.Value)
		case r.otherOfOneof(m, field, key):
		default:
			given[field.Name()] = true
			r.field(value, m, field, depth)
		}
	}
}

// otherOfOneof reports a field that another one excludes.
func (r *messageReader) otherOfOneof(m protoreflect.Message, field protoreflect.FieldDescriptor, key *yaml.Node) bool {
	oneof := field.ContainingOneof()
	if oneof == nil || oneof.IsSynthetic() {
		return false
	}
	other := m.WhichOneof(oneof)
	if other != nil {
		r.add(key, "%s and %s exclude each other: give one of them", other.Name(), field.Name())
	}
	return other != nil
}

// fieldNamed finds a field by Envoy's spelling or by JSON's.
func fieldNamed(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if field := d.Fields().ByName(protoreflect.Name(name)); field != nil {
		return field
	}
	return d.Fields().ByJSONName(name)
}

func (r *messageReader) field(n *yaml.Node, m protoreflect.Message, field protoreflect.FieldDescriptor, depth int) {
	switch {
	case field.IsMap():
		r.mapField(n, m.Mutable(field).Map(), field, depth)
	case field.IsList():
		r.list(n, m.Mutable(field).List(), field, depth)
	case field.Message() != nil:
		r.message(n, m.Mutable(field).Message(), depth+1)
	default:
		if v, ok := r.single(n, field, depth); ok {
			m.Set(field, v)
		}
	}
}

// list reads a list, or one value as the list of it; a list in a list is a part of it.
func (r *messageReader) list(n *yaml.Node, into protoreflect.List, field protoreflect.FieldDescriptor, depth int) {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		item = resolve(item)
		switch {
		case item.Kind == yaml.SequenceNode && n.Kind == yaml.SequenceNode && !freeForm(field) && r.spend(item, depth+1):
			r.list(item, into, field, depth+1)
		case field.Message() != nil && isNullNode(item) && !freeForm(field):
			into.AppendMutable()
		case field.Message() != nil:
			r.message(item, into.AppendMutable().Message(), depth+1)
		case isNullNode(item):
			into.Append(into.NewElement())
		default:
			if v, ok := r.single(item, field, depth); ok {
				into.Append(v)
			}
		}
	}
}

func (r *messageReader) mapField(n *yaml.Node, into protoreflect.Map, field protoreflect.FieldDescriptor, depth int) {
	if n.Kind != yaml.MappingNode {
		r.add(n, "unexpected token %s: %s is a mapping", written(n), field.Name())
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		text := quotedNode(key.Value) // whatever it looks like
		text.Line = key.Line
		name, ok := r.single(text, field.MapKey(), depth)
		switch {
		case !ok:
		case isNullNode(value) && !takesNull(field.MapValue()):
			into.Set(name.MapKey(), into.NewValue())
		case field.MapValue().Message() != nil:
			r.message(value, into.Mutable(name.MapKey()).Message(), depth+1)
		default:
			if v, ok := r.single(value, field.MapValue(), depth); ok {
				into.Set(name.MapKey(), v)
			}
		}
	}
}

func isNullNode(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && scalarOf(n).kind == scalarNull
}

// takesNull says that null is a value of a field, and not its absence.
func takesNull(field protoreflect.FieldDescriptor) bool {
	return freeForm(field) && !field.IsList() && !field.IsMap()
}

// freeForm says that a field's values may be anything, null and lists included.
func freeForm(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil && field.Message().FullName() == "google.protobuf.Value"
}

// written is a value as an error names it; what is long, or may be a secret, by its kind.
func written(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "[…]"
	case n.Kind == yaml.MappingNode:
		return "{…}"
	case len(n.Value) > 60:
		return "of " + fmt.Sprint(len(n.Value)) + " characters"
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return fmt.Sprintf("%q", n.Value)
	}
	return n.Value
}

// writtenIn is a value as an error about a message names it: keys and passwords are in
// DataSources, or bytes, and are not quoted however short they are.
func writtenIn(n *yaml.Node, m protoreflect.MessageDescriptor, kind protoreflect.Kind) string {
	if n.Kind == yaml.ScalarNode && (kind == protoreflect.BytesKind || m.FullName() == "envoy.config.core.v3.DataSource") {
		return "of " + fmt.Sprint(len(n.Value)) + " characters"
	}
	return written(n)
}

// message reads one Envoy message and returns whether it is well-formed.
func (p *parser) message(n *yaml.Node, into proto.Message) bool {
	if !p.flatten(n) {
		return false
	}
	p.reader.problems, p.reader.wrong = &p.problems, false
	p.reader.message(n, into.ProtoReflect(), 0)
	return !p.reader.wrong
}
