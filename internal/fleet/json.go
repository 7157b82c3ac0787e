package fleet

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits on what aliases may expand to: a few lines of YAML can otherwise stand
// for any number of values.
const (
	maxDepth  = 200
	maxValues = 1_000_000
	tooLarge  = "too deep or too large, aliases expanded"
)

// A nodeError is something wrong with one YAML value.
type nodeError struct {
	line int
	msg  string
}

func (e *nodeError) Error() string { return e.msg }

// toJSON writes a YAML value, flattened, as JSON.
func toJSON(n *yaml.Node) ([]byte, error) {
	var w jsonWriter
	if err := w.value(n, 0); err != nil {
		return nil, err
	}
	return w.buf, nil
}

type jsonWriter struct {
	buf    []byte
	values int
}

func (w *jsonWriter) value(n *yaml.Node, depth int) error {
	if w.values++; w.values > maxValues || depth > maxDepth {
		return &nodeError{n.Line, tooLarge}
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.value(n.Alias, depth+1)
	case yaml.MappingNode:
		return w.mapping(n, depth)
	case yaml.SequenceNode:
		w.buf = append(w.buf, '[')
		for i, item := range n.Content {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			if err := w.value(item, depth+1); err != nil {
				return err
			}
		}
		w.buf = append(w.buf, ']')
		return nil
	case yaml.ScalarNode:
		return w.scalar(n)
	case yaml.DocumentNode: // only at the top of a file
	}
	return &nodeError{n.Line, "not a YAML value"}
}

func (w *jsonWriter) mapping(n *yaml.Node, depth int) error {
	pairs := n.Content
	w.buf = append(w.buf, '{')
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = append(appendString(w.buf, resolve(pairs[i]).Value), ':')
		if err := w.value(pairs[i+1], depth+1); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, '}')
	return nil
}

func (w *jsonWriter) scalar(n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		w.buf = append(w.buf, "null"...)
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return &nodeError{n.Line, "not a boolean: " + n.Value}
		}
		w.buf = strconv.AppendBool(w.buf, b)
	case "!!int", "!!float":
		w.number(n)
	default:
		w.buf = appendString(w.buf, n.Value)
	}
	return nil
}

// number writes an integer of 64 bits exactly; what JSON has no number for
// (infinities, larger ones) becomes a string.
func (w *jsonWriter) number(n *yaml.Node) {
	var i int64
	var u uint64
	var f float64
	switch {
	case n.Decode(&i) == nil:
		w.buf = strconv.AppendInt(w.buf, i, 10)
	case n.Decode(&u) == nil:
		w.buf = strconv.AppendUint(w.buf, u, 10)
	case n.Decode(&f) == nil:
		if text, err := json.Marshal(f); err == nil {
			w.buf = append(w.buf, text...)
			return
		}
		w.buf = appendString(w.buf, infinity(f))
	default:
		w.buf = appendString(w.buf, n.Value)
	}
}

// infinity is the word for a float that JSON has no number for.
func infinity(f float64) string {
	switch {
	case f > 0:
		return "Infinity"
	case f < 0:
		return "-Infinity"
	}
	return "NaN"
}

// appendString writes a JSON string. Marshalling a string can't fail: what is
// not UTF-8, which the YAML reader refuses, would be replaced.
func appendString(buf []byte, s string) []byte {
	text, _ := json.Marshal(s)
	return append(buf, text...)
}

// canonicalJSON sorts the keys and drops the white space of JSON, so that the
// same configuration is always the same bytes. Numbers keep their digits.
func canonicalJSON(text []byte) (string, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return "", err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}
