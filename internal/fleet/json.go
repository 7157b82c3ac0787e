package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits on what aliases may expand to: a few lines of YAML can otherwise stand
// for any number of values.
const (
	maxDepth  = 200
	maxValues = 1_000_000
)

// A nodeError is something wrong with one YAML value.
type nodeError struct {
	line int
	msg  string
}

func (e *nodeError) Error() string { return e.msg }

// toJSON writes a YAML value as JSON in which each value stands on the line it
// has in the YAML file, so that the line in an error of protojson is the line
// to tell the user. Values of an alias stand where the alias does.
func toJSON(n *yaml.Node) ([]byte, error) {
	w := jsonWriter{line: 1}
	if err := w.value(n, 0); err != nil {
		return nil, err
	}
	return w.buf, nil
}

type jsonWriter struct {
	buf    []byte
	line   int
	values int
}

// moveTo pads with newlines up to a line of the YAML file.
func (w *jsonWriter) moveTo(line int) {
	for ; w.line < line; w.line++ {
		w.buf = append(w.buf, '\n')
	}
}

func (w *jsonWriter) value(n *yaml.Node, depth int) error {
	if w.values++; w.values > maxValues || depth > maxDepth {
		return &nodeError{n.Line, "too deep or too large, aliases expanded"}
	}
	w.moveTo(n.Line)
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
	pairs, err := mergedPairs(n, depth)
	if err != nil {
		return err
	}
	w.buf = append(w.buf, '{')
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.moveTo(pairs[i].Line)
		w.buf = append(appendString(w.buf, pairs[i].Value), ':')
		if err := w.value(pairs[i+1], depth+1); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, '}')
	return nil
}

// mergedPairs lists a mapping's keys and values with its merge keys (<<)
// replaced by what they stand for; the mapping's own keys win.
func mergedPairs(n *yaml.Node, depth int) ([]*yaml.Node, error) {
	if depth > maxDepth {
		return nil, &nodeError{n.Line, "too deep or too large, aliases expanded"}
	}
	seen := map[string]bool{}
	var own, merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), n.Content[i+1]
		switch {
		case key.ShortTag() == "!!merge":
			merged = append(merged, value)
		case key.Kind != yaml.ScalarNode:
			return nil, &nodeError{key.Line, "a key must be a string"}
		case seen[key.Value]:
			return nil, &nodeError{key.Line, fmt.Sprintf("key %q is given twice", key.Value)}
		default:
			seen[key.Value] = true
			own = append(own, key, value)
		}
	}
	for _, source := range mergeSources(merged) {
		if source.Kind != yaml.MappingNode {
			return nil, &nodeError{source.Line, "<<: merges mappings only"}
		}
		pairs, err := mergedPairs(source, depth+1)
		if err != nil {
			return nil, err
		}
		for i := 0; i < len(pairs); i += 2 {
			if !seen[pairs[i].Value] {
				seen[pairs[i].Value] = true
				own = append(own, pairs[i], pairs[i+1])
			}
		}
	}
	return own, nil
}

// mergeSources lists the mappings that merge keys name: one, or a list of them.
func mergeSources(values []*yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	for _, v := range values {
		if v = resolve(v); v.Kind == yaml.SequenceNode {
			for _, item := range v.Content {
				out = append(out, resolve(item))
			}
		} else {
			out = append(out, v)
		}
	}
	return out
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for range maxDepth {
		if n == nil || n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
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
// (infinities, larger ones) becomes a string, as protojson expects.
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

// infinity is protojson's word for a float that JSON has no number for.
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
