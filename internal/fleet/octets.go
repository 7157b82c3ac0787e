package fleet

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Octets are bytes of a header or a body. In JSON they are text, or, where they are none,
// {"base64": …}.
type Octets string

type octetsJSON struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (o Octets) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(o)) {
		return json.Marshal(string(o))
	}
	return json.Marshal(octetsJSON{[]byte(o)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *Octets) UnmarshalJSON(data []byte) error {
	if text := ""; json.Unmarshal(data, &text) == nil {
		*o = Octets(text)
		return nil
	}
	var doc octetsJSON
	if err := json.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("octets are text or {base64: …}: %w", err)
	}
	*o = Octets(doc.Base64)
	return nil
}

// maxBody bounds the body of a check's request, in bytes.
const maxBody = 1 << 20

// octets reads bytes: text, or a mapping with one of `text`, `bytes` (of which each character
// up to U+00FF is a byte), `base64` and, where a file may be meant, `file`. An error has none
// of them: they may be secrets.
func (p *parser) octets(n *yaml.Node, what string, file bool) Octets {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
		return Octets(n.Value)
	}
	ways := "text, `bytes` or `base64`"
	if file {
		ways = "text, `bytes`, `base64` or `file`"
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || resolve(n.Content[1]).Kind != yaml.ScalarNode {
		p.add(n.Line, "checks: %s is %s", what, ways)
		return ""
	}
	key, value := n.Content[0], resolve(n.Content[1])
	switch {
	case key.Value == "text":
		return Octets(value.Value)
	case key.Value == "bytes":
		return p.latin(value, what)
	case key.Value == "base64":
		out, err := base64.StdEncoding.DecodeString(value.Value)
		if err != nil {
			p.add(value.Line, "checks: %s is not base64", what)
		}
		return Octets(out)
	case key.Value == "file" && file:
		return p.contentOf(value, what)
	}
	p.add(key.Line, "checks: unknown field %q: %s is %s", key.Value, what, ways)
	return ""
}

// latin reads bytes of which each is a character.
func (p *parser) latin(n *yaml.Node, what string) Octets {
	var out []byte
	for _, r := range n.Value {
		if r > 0xff {
			p.add(n.Line, "checks: %s has a character that is no byte: each stands for one, up to \\xff", what)
			return ""
		}
		out = append(out, byte(r))
	}
	return Octets(out)
}

// contentOf reads a file, which is named relative to the fleet file.
func (p *parser) contentOf(n *yaml.Node, what string) Octets {
	path := filepath.FromSlash(n.Value)
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(p.file), path)
	}
	rule := p.files
	rule.MaxBytes, rule.Setting = maxBody, ""
	data, err := rule.ReadFile(path)
	if err != nil {
		p.add(n.Line, "checks: %s: %v", what, err)
		return ""
	}
	p.fleet.Files = append(p.fleet.Files, path)
	return Octets(data)
}
