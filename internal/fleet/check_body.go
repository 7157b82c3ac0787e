package fleet

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A BodyMatch is what a body must be; nothing in particular where it is zero.
type BodyMatch struct {
	Equal    *Octets     `json:"equal,omitempty"`
	Contains []Octets    `json:"contains,omitempty"` // in this order
	Matches  string      `json:"matches,omitempty"`  // RE2, somewhere in it
	JSON     []JSONMatch `json:"json,omitempty"`
}

// A JSONMatch is what a value of a JSON document must be.
type JSONMatch struct {
	Path  string          `json:"path"` // a singular query of RFC 9535: $.a.b[0]['c']
	Equal json.RawMessage `json:"equal"`
}

// IsZero reports whether it is nothing.
func (m BodyMatch) IsZero() bool {
	return m.Equal == nil && len(m.Contains) == 0 && m.Matches == "" && len(m.JSON) == 0
}

// Wrong says how a body is not as it must be, "" if it is. It has nothing of the body.
func (m BodyMatch) Wrong(body []byte) string {
	if m.Equal != nil && string(body) != string(*m.Equal) {
		return fmt.Sprintf("the body is another, of %d bytes where %d are expected", len(body), len(*m.Equal))
	}
	rest := string(body)
	for i, part := range m.Contains {
		_, after, found := strings.Cut(rest, string(part))
		if !found {
			return fmt.Sprintf("the body does not contain what is expected (part %d of %d)", i+1, len(m.Contains))
		}
		rest = after
	}
	if m.Matches != "" {
		if re, err := regexp.Compile(m.Matches); err != nil || !re.Match(body) {
			return "the body does not match the regular expression"
		}
	}
	return m.wrongJSON(body)
}

func (m BodyMatch) wrongJSON(body []byte) string {
	if len(m.JSON) == 0 {
		return ""
	}
	var document any
	if err := json.Unmarshal(body, &document); err != nil {
		return "the body is no JSON"
	}
	for _, one := range m.JSON {
		steps, _ := jsonPath(one.Path) // it was read before
		value, there := lookUp(document, steps)
		if !there {
			return "the body has no " + one.Path
		}
		var want any
		if err := json.Unmarshal(one.Equal, &want); err != nil || !reflect.DeepEqual(value, want) {
			return "the body's " + one.Path + " is another"
		}
	}
	return ""
}

// lookUp follows a path: a string is a key, a number the place in a list, from its end where
// it is negative.
func lookUp(value any, steps []any) (any, bool) {
	for _, step := range steps {
		switch v := value.(type) {
		case map[string]any:
			key, _ := step.(string)
			next, there := v[key]
			if _, isKey := step.(string); !isKey || !there {
				return nil, false
			}
			value = next
		case []any:
			i, isIndex := step.(int)
			if i < 0 {
				i += len(v)
			}
			if !isIndex || i < 0 || i >= len(v) {
				return nil, false
			}
			value = v[i]
		default:
			return nil, false
		}
	}
	return value, true
}

var jsonStep = regexp.MustCompile(`^(?:\.([A-Za-z_\x80-\x{10ffff}-][\w\x80-\x{10ffff}-]*)|\[(-?\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\])`)

// jsonPath takes a path apart. https://www.rfc-editor.org/rfc/rfc9535#name-singular-query-segments
func jsonPath(path string) (steps []any, ok bool) {
	rest, ok := strings.CutPrefix(path, "$")
	for ok && rest != "" {
		m := jsonStep.FindStringSubmatch(rest)
		switch {
		case m == nil:
			return nil, false
		case m[1] != "":
			steps = append(steps, m[1])
		case m[2] != "":
			i, err := strconv.Atoi(m[2])
			if err != nil {
				return nil, false
			}
			steps = append(steps, i)
		default:
			steps = append(steps, unescaped.ReplaceAllString(m[3]+m[4], "$1"))
		}
		rest = rest[len(m[0]):]
	}
	return steps, ok
}

var unescaped = regexp.MustCompile(`\\(.)`)

// bodyMatch reads what a body must be: text, which it must be equal to, or a mapping of ways.
func (p *parser) bodyMatch(n *yaml.Node, what string) BodyMatch {
	var m BodyMatch
	if n = resolve(n); n.IsZero() {
		return m
	}
	if n.Kind != yaml.MappingNode {
		text := p.octets(n, what, false)
		return BodyMatch{Equal: &text}
	}
	if !p.flatten(n) {
		return m
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		switch key.Value {
		case "equal":
			text := p.octets(value, what+".equal", true)
			m.Equal = &text
		case "contains":
			for _, part := range listed(value) {
				m.Contains = append(m.Contains, p.octets(part, what+".contains", false))
			}
		case "matches":
			m.Matches = value.Value
			p.expression(value, what, value.Value)
		case "json":
			for _, one := range listed(value) {
				m.JSON = append(m.JSON, p.jsonMatch(resolve(one), what))
			}
		default:
			p.add(key.Line, "checks: %s: unknown field %q, none of equal, contains, matches, json", what, key.Value)
		}
	}
	if m.IsZero() && len(n.Content) == 0 {
		p.add(n.Line, "checks: %s: it says nothing: one of equal, contains, matches, json", what)
	}
	return m
}

// jsonMatch reads a path and what is to be there.
func (p *parser) jsonMatch(n *yaml.Node, what string) JSONMatch {
	var m JSONMatch
	if n.Kind != yaml.MappingNode || !p.flatten(n) {
		p.add(n.Line, "checks: %s.json is `{path: $.a.b, equal: VALUE}`, or a list of them", what)
		return m
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		switch key.Value {
		case "path":
			m.Path = value.Value
			if _, ok := jsonPath(m.Path); !ok {
				p.add(value.Line, "checks: %s.json: %q is no path like $.a.b[0]['c d']", what, m.Path)
			}
		case "equal":
			text, err := toJSON(value)
			if err != nil {
				p.addNode(value, err)
			}
			m.Equal = text
		default:
			p.add(key.Line, "checks: %s.json: unknown field %q, none of path, equal", what, key.Value)
		}
	}
	if m.Path == "" || m.Equal == nil {
		p.add(n.Line, "checks: %s.json is `{path: $.a.b, equal: VALUE}`, or a list of them", what)
	}
	return m
}
