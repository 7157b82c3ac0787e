package fleet

import (
	"encoding/base64"
	"math"
	"math/big"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"go.yaml.in/yaml/v3"
)

// single reads one value of a field that holds no message.
func (r *messageReader) single(n *yaml.Node, field protoreflect.FieldDescriptor, depth int) (protoreflect.Value, bool) {
	if !r.spend(n, depth) {
		return protoreflect.Value{}, false
	}
	if n.Kind == yaml.ScalarNode {
		if v, ok := valueOf(scalarOf(n), field); ok {
			return v, true
		}
	}
	r.add(n, "invalid value for %v field %s: %s%s", field.Kind(), field.Name(), writtenIn(n, field.ContainingMessage(), field.Kind()), hint(n, field))
	return protoreflect.Value{}, false
}

// hint says what was meant, where that is likely.
func hint(n *yaml.Node, field protoreflect.FieldDescriptor) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		return ""
	case field.Kind() == protoreflect.StringKind:
		return " is not text unless it is quoted"
	case field.Kind() == protoreflect.EnumKind && field.Enum().Values().Len() <= 12:
		return ", but one of " + enumNames(field.Enum())
	}
	return ""
}

func enumNames(e protoreflect.EnumDescriptor) string {
	var names []string
	for i := range e.Values().Len() {
		names = append(names, string(e.Values().Get(i).Name()))
	}
	return strings.Join(names, ", ")
}

func valueOf(s scalar, field protoreflect.FieldDescriptor) (protoreflect.Value, bool) {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(s.text), s.kind == scalarText
	case protoreflect.BytesKind:
		return bytesOf(s)
	case protoreflect.BoolKind:
		return boolOf(s)
	case protoreflect.EnumKind:
		return enumOf(s, field.Enum())
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return floatOf(s, field.Kind())
	case protoreflect.MessageKind, protoreflect.GroupKind: // not of single values
		return protoreflect.Value{}, false
	default:
		return integerOf(s, field.Kind())
	}
}

// bytesOf reads base64 of either alphabet, padded or not.
func bytesOf(s scalar) (protoreflect.Value, bool) {
	text := strings.TrimRight(s.text, "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	b, err := encoding.DecodeString(text)
	return protoreflect.ValueOfBytes(b), err == nil && s.kind == scalarText && !strings.ContainsAny(s.text, "\r\n")
}

func boolOf(s scalar) (protoreflect.Value, bool) {
	if s.kind == scalarBool {
		return protoreflect.ValueOfBool(s.bool), true
	}
	switch strings.ToLower(s.text) {
	case "true", "t", "yes", "y", "1":
		return protoreflect.ValueOfBool(true), s.kind == scalarText
	case "false", "f", "no", "n", "0":
		return protoreflect.ValueOfBool(false), s.kind == scalarText
	}
	return protoreflect.Value{}, false
}

// enumOf reads a name in any letter case, or a number.
func enumOf(s scalar, e protoreflect.EnumDescriptor) (protoreflect.Value, bool) {
	if s.kind == scalarNumber {
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(s.num)), true
	}
	if s.kind != scalarText {
		return protoreflect.Value{}, false
	}
	if v := e.Values().ByName(protoreflect.Name(s.text)); v != nil {
		return protoreflect.ValueOfEnum(v.Number()), true
	}
	for i := range e.Values().Len() {
		if v := e.Values().Get(i); strings.EqualFold(string(v.Name()), s.text) {
			return protoreflect.ValueOfEnum(v.Number()), true
		}
	}
	i, err := strconv.ParseInt(strings.TrimSpace(s.text), 10, 32)
	return protoreflect.ValueOfEnum(protoreflect.EnumNumber(i)), err == nil
}

// floatOf reads a number, or the text of one; C's hexadecimal too.
func floatOf(s scalar, kind protoreflect.Kind) (protoreflect.Value, bool) {
	f, ok := float64(s.num), s.kind == scalarNumber
	if s.kind == scalarText {
		f, ok = parseFloat(strings.TrimSpace(s.text))
	}
	if kind == protoreflect.DoubleKind {
		return protoreflect.ValueOfFloat64(f), ok
	}
	return protoreflect.ValueOfFloat32(float32(f)), ok && (math.IsInf(f, 0) || math.IsNaN(f) || math.Abs(f) <= math.MaxFloat32)
}

func parseFloat(text string) (float64, bool) {
	if lower := strings.ToLower(text); strings.HasPrefix(strings.TrimLeft(lower, "+-"), "0x") && !strings.Contains(lower, "p") {
		text += "p0"
	}
	f, err := strconv.ParseFloat(text, 64)
	// What is too large for a double is infinite, as to Envoy.
	return f, (err == nil || math.IsInf(f, 0)) && !strings.Contains(text, "_")
}

// integerOf reads a number without a fraction, or the text of one: 5, "5", 5.0, 1e3.
func integerOf(s scalar, kind protoreflect.Kind) (protoreflect.Value, bool) {
	i := big.NewInt(int64(s.num))
	if s.kind == scalarText {
		if i = integer(s.text); i == nil {
			return protoreflect.Value{}, false
		}
	} else if s.kind != scalarNumber {
		return protoreflect.Value{}, false
	}
	switch kind {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(i.Uint64())), i.IsUint64() && i.Uint64() <= math.MaxUint32
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(i.Uint64()), i.IsUint64()
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(i.Int64()), i.IsInt64()
	default:
		return protoreflect.ValueOfInt32(int32(i.Int64())), i.IsInt64() && i.Int64() >= math.MinInt32 && i.Int64() <= math.MaxInt32
	}
}

// integer is the number that a text is, or nil. 64 bits are kept exactly.
func integer(text string) *big.Int {
	if i, ok := new(big.Int).SetString(text, 10); ok && len(text) <= 40 {
		return i
	}
	f, ok := parseFloat(text)
	if !ok || math.IsInf(f, 0) || math.IsNaN(f) || f != math.Trunc(f) {
		return nil
	}
	i, _ := big.NewFloat(f).Int(nil)
	return i
}
