package fleet

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A MatchKind is how a header is matched, as Envoy's HeaderMatcher does it: what comes more
// than once is joined by commas.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-headermatcher
type MatchKind string

// The kinds.
const (
	MatchEqual    MatchKind = "equal"
	MatchPrefix   MatchKind = "prefix"
	MatchSuffix   MatchKind = "suffix"
	MatchContains MatchKind = "contains"
	MatchRegex    MatchKind = "matches" // RE2, of the whole value
	MatchPresent  MatchKind = "present"
	MatchAbsent   MatchKind = "absent"
	MatchChanged  MatchKind = "changed" // it is there, and not what was sent, which is the value
)

var matchKinds = []string{
	string(MatchEqual), string(MatchPrefix), string(MatchSuffix), string(MatchContains), string(MatchRegex),
	string(MatchPresent), string(MatchAbsent), string(MatchChanged),
}

// A HeaderMatch is what a header must be.
type HeaderMatch struct {
	Name  string    `json:"name"` // in lower case; of a request also :path, :method, :authority, :scheme
	Kind  MatchKind `json:"kind"`
	Value Octets    `json:"value,omitempty"`
}

// Wrong says how a header is not as it must be, given all values of its name; "" if it is. It
// has no value of the header's.
func (m HeaderMatch) Wrong(values []string) string {
	value := strings.Join(values, ",")
	switch there := len(values) > 0; {
	case m.Kind == MatchAbsent && there:
		return "header " + m.Name + " is there"
	case m.Kind != MatchAbsent && !there:
		return "header " + m.Name + " is not there"
	case m.Kind == MatchChanged && value == string(m.Value):
		return "header " + m.Name + " is not changed"
	case !m.holds(value):
		return "header " + m.Name + " is another"
	}
	return ""
}

func (m HeaderMatch) holds(value string) bool {
	switch want := string(m.Value); m.Kind {
	case MatchEqual:
		return value == want
	case MatchPrefix:
		return strings.HasPrefix(value, want)
	case MatchSuffix:
		return strings.HasSuffix(value, want)
	case MatchContains:
		return strings.Contains(value, want)
	case MatchRegex:
		re, err := regexp.Compile("^(?s:" + want + ")$")
		return err == nil && re.MatchString(value)
	case MatchPresent, MatchAbsent, MatchChanged:
	}
	return true
}

var pseudoHeaders = []string{":path", ":method", ":authority", ":scheme"}

// headerMatches reads a mapping of header names to what each must be: text, which it must be
// equal to, a list of text where it comes more than once, or a mapping of kinds. sent is the
// request that the check sends; pseudo says that the headers are a request's.
func (p *parser) headerMatches(n *yaml.Node, what string, sent []Header, pseudo bool) []HeaderMatch {
	var out []HeaderMatch
	p.eachNamed(n, what, "what they must be", func(key, value *yaml.Node, name string) {
		if name == "host" && pseudo {
			name = ":authority"
		}
		if !headerName.MatchString(name) && (!pseudo || !slices.Contains(pseudoHeaders, name)) {
			p.add(key.Line, "checks: %s: %q is not a header", what, key.Value)
			return
		}
		out = append(out, p.headerMatch(value, what, name, sent, pseudo)...)
	})
	return out
}

func (p *parser) headerMatch(n *yaml.Node, what, name string, sent []Header, pseudo bool) []HeaderMatch {
	if n.Kind != yaml.MappingNode || len(n.Content) == 2 && slices.Contains([]string{"bytes", "base64"}, n.Content[0].Value) {
		return []HeaderMatch{{name, MatchEqual, p.joined(n, name)}}
	}
	var out []HeaderMatch
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		m := HeaderMatch{Name: name, Kind: MatchKind(key.Value)}
		switch {
		case !slices.Contains(matchKinds, key.Value):
			p.add(key.Line, "checks: %s: %s: unknown field %q, none of %s", what, name, key.Value, strings.Join(matchKinds, ", "))
			continue
		case m.Kind == MatchChanged && !pseudo:
			p.add(key.Line, "checks: %s: %s: only what the service sees can be changed from what was sent", what, name)
			continue
		case m.Kind == MatchPresent || m.Kind == MatchAbsent || m.Kind == MatchChanged:
			m = p.flagged(value, m, sent)
		case m.Kind == MatchEqual:
			m.Value = p.joined(value, name)
		default:
			m.Value = Octets(p.headerValue(value, name))
		}
		if m.Kind == MatchRegex {
			p.expression(value, what+": "+name, string(m.Value))
		}
		out = append(out, m)
	}
	if len(n.Content) == 0 {
		p.add(n.Line, "checks: %s: %s: it says nothing: one of %s", what, name, strings.Join(matchKinds, ", "))
	}
	return out
}

// flagged reads the kinds that have a boolean.
func (p *parser) flagged(n *yaml.Node, m HeaderMatch, sent []Header) HeaderMatch {
	yes, ok := yamlBool(n.Value)
	switch {
	case !ok || n.Kind != yaml.ScalarNode || !yes && m.Kind == MatchChanged:
		p.add(n.Line, "checks: header %s: %s is true or false", m.Name, m.Kind)
	case m.Kind == MatchChanged:
		var values []string
		for _, h := range sent {
			if h.Name == m.Name {
				values = append(values, h.Value)
			}
		}
		m.Value = Octets(strings.Join(values, ","))
	case (m.Kind == MatchPresent) == yes:
		m.Kind = MatchPresent
	default:
		m.Kind = MatchAbsent
	}
	return m
}

// joined reads one value, or several as they are matched.
func (p *parser) joined(n *yaml.Node, name string) Octets {
	var values []string
	for _, v := range listed(n) {
		values = append(values, p.headerValue(v, name))
	}
	return Octets(strings.Join(values, ","))
}

// expression looks whether an expression is one of RE2, which Envoy has too.
// https://github.com/google/re2/wiki/Syntax
func (p *parser) expression(n *yaml.Node, what, text string) {
	if _, err := regexp.Compile(text); err != nil {
		p.add(n.Line, "checks: %s: matches is no regular expression (RE2): %s", what, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
}
