package preflight

import (
	"encoding/binary"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A property's value is one of these, or nil for none, as Envoy's CelValue is:
//
//	string, []byte        a text, or bytes
//	int64, uint64, bool, float64
//	headers               a header map
//	group                 a group of attributes, which can't be had as a whole
//	protoreflect.Message  and what is in one: protoreflect.Map, protoreflect.List
//	unserializable        something that Envoy has, and can't give out

// group finds an attribute of a group.
type group func(name string) any

type unserializable struct{}

// within is what a part of a path finds in a value: Context::getProperty.
func within(value any, part string) any {
	switch v := value.(type) {
	case group:
		return v(part)
	case headers:
		if all := v.all(part); all != nil {
			return *all
		}
	case proto.Message:
		return within(v.ProtoReflect(), part)
	case protoreflect.Message:
		if field := v.Descriptor().Fields().ByName(protoreflect.Name(part)); field != nil {
			return plain(v.Get(field))
		}
	case protoreflect.Map:
		if item := v.Get(protoreflect.ValueOfString(part).MapKey()); item.IsValid() {
			return plain(item)
		}
	case protoreflect.List:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < v.Len() {
			return plain(v.Get(i))
		}
	}
	return nil
}

// plain is a field of a message; one that is not set has its default.
func plain(value protoreflect.Value) any {
	switch v := value.Interface().(type) {
	case protoreflect.EnumNumber:
		return int64(v)
	case int32:
		return int64(v)
	case uint32:
		return uint64(v)
	case float32:
		return float64(v)
	case protoreflect.Message:
		if v.Descriptor().FullName() == "google.protobuf.Struct" { // a map, to Envoy
			return within(v, "fields")
		}
		return v
	default:
		return v
	}
}

// serialize writes a value as a filter gets it: serializeValue of Envoy's context.cc.
func serialize(value any) ([]byte, status) {
	switch v := value.(type) {
	case nil:
		return nil, notFound
	case string:
		return []byte(v), ok
	case []byte:
		return v, ok
	case int64:
		return number(v), ok
	case uint64:
		return number(int64(v)), ok
	case float64:
		return number(int64(math.Float64bits(v))), ok
	case bool:
		return map[bool][]byte{false: {0}, true: {1}}[v], ok
	case headers:
		return v.distinct().pairs(), ok
	case proto.Message:
		return serialize(v.ProtoReflect())
	case protoreflect.Message:
		out, err := proto.MarshalOptions{Deterministic: true}.Marshal(v.Interface())
		if err != nil {
			return nil, serializationFailure
		}
		return out, ok
	case protoreflect.Map:
		return serializeMap(v)
	case protoreflect.List:
		return serializeList(v)
	}
	return nil, serializationFailure
}

func serializeMap(m protoreflect.Map) ([]byte, status) {
	values := map[string]string{}
	for key, value := range m.Range {
		text, result := serialize(plain(value))
		if result != ok {
			return nil, serializationFailure
		}
		values[key.String()] = string(text)
	}
	var out headers
	for _, key := range slices.Sorted(maps.Keys(values)) {
		out = append(out, field{key, values[key]})
	}
	return out.pairs(), ok
}

func serializeList(l protoreflect.List) ([]byte, status) {
	var out headers
	for i := range l.Len() {
		text, result := serialize(plain(l.Get(i)))
		if result != ok {
			return nil, serializationFailure
		}
		out = append(out, field{string(text), ""})
	}
	return out.pairs(), ok
}

// pairs writes an empty map too: its count.
func (h headers) pairs() []byte {
	if len(h) == 0 {
		return make([]byte, 4)
	}
	return h.marshal()
}

// all joins the values of a name, nil where there is none: an attribute is all of them, and
// proxy_get_header_map_value only the first.
func (h headers) all(name string) *string {
	values := h.valuesOf(name)
	if values == nil {
		return nil
	}
	text := strings.Join(values, ",")
	return &text
}

// distinct has each name once.
func (h headers) distinct() headers {
	var out headers
	values := map[string][]string{} // a filter may add thousands
	for _, f := range h {
		values[f.name] = append(values[f.name], f.value)
	}
	for _, f := range h {
		if all, there := values[f.name]; there {
			out = append(out, field{f.name, strings.Join(all, ",")})
			delete(values, f.name)
		}
	}
	return out
}

// known is a value where it is known, and otherwise none.
func known(value any, is bool) any {
	if !is {
		return nil
	}
	return value
}

// contentLength is a request's size: what it says, or else what has come of it.
func contentLength(h headers, come int64) any {
	text, said := h.get("content-length")
	if !said {
		return come
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return known(n, err == nil)
}

func joined(ip string, port int64) string { return net.JoinHostPort(ip, strconv.FormatInt(port, 10)) }

// number is an integer as Envoy gives it out.
func number(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }
