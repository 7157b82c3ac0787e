package fleet

import (
	"encoding/json"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Header is one header of a message. Its value may be a secret: it is not logged. It may
// be no text: see Octets.
type Header struct {
	Name  string
	Value string
}

type headerJSON struct {
	Name  string `json:"name"`
	Value Octets `json:"value"`
}

// MarshalJSON implements json.Marshaler.
func (h Header) MarshalJSON() ([]byte, error) {
	return json.Marshal(headerJSON{h.Name, Octets(h.Value)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *Header) UnmarshalJSON(data []byte) error {
	var doc headerJSON
	err := json.Unmarshal(data, &doc)
	h.Name, h.Value = doc.Name, string(doc.Value)
	return err
}

var (
	headerName  = regexp.MustCompile("^[a-z0-9!#$%&'*+.^_`|~-]+$")
	headerValue = regexp.MustCompile(`^[^\x00-\x08\x0a-\x1f\x7f]*$`)
	methodName  = regexp.MustCompile(`^[A-Z]+$`)
	checkNames  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._/:,()-]{0,98}[A-Za-z0-9)]$|^[A-Za-z0-9]$`)
)

// checkHeaders reads a mapping of headers, in its order; a list of values is a
// header given more than once. Values are never part of an error: they may be secrets.
func (p *parser) checkHeaders(n *yaml.Node, what string) []Header {
	var out []Header
	p.eachNamed(n, what, "values", func(key, value *yaml.Node, name string) {
		if !settable(name) {
			p.add(key.Line, "checks: %q is not a header that can be set", key.Value)
		}
		for _, v := range listed(value) {
			out = append(out, Header{Name: name, Value: p.headerValue(v, name)})
		}
	})
	return out
}

// eachNamed calls fn for each header of a mapping of names to something, in its order, with
// the name in lower case. There is nothing to call it for where there is no mapping.
func (p *parser) eachNamed(n *yaml.Node, what, to string, fn func(key, value *yaml.Node, name string)) {
	if n = resolve(n); n.IsZero() {
		return
	}
	if n.Kind != yaml.MappingNode || !p.flatten(n) {
		p.add(n.Line, "checks: %s are a mapping of names to %s", what, to)
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		fn(n.Content[i], resolve(n.Content[i+1]), strings.ToLower(n.Content[i].Value))
	}
}

// listed are the values of a list, or the one that is none.
func listed(n *yaml.Node) []*yaml.Node {
	if n = resolve(n); n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// headerValue reads a value: text, or bytes.
func (p *parser) headerValue(n *yaml.Node, name string) string {
	n = resolve(n)
	value := n.Value
	if n.Kind == yaml.MappingNode {
		value = string(p.octets(n, "the value of header "+name, false))
	}
	if n.Kind == yaml.SequenceNode || !headerValue.MatchString(latinText(value)) {
		p.add(n.Line, "checks: the value of header %q is not one line of text", name)
	}
	return value
}

// latinText is bytes as text of which each character is one, for what matches characters.
func latinText(value string) string {
	out := make([]rune, len(value))
	for i := range len(value) {
		out[i] = rune(value[i])
	}
	return string(out)
}
