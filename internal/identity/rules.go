package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A Pattern is of a name in certificates; one of its fields is set. In it * stands for one or more
// characters: of a URI without "/", of a DNS name without ".".
type Pattern struct {
	URI string `yaml:"uri,omitempty" json:"uri,omitempty"`
	DNS string `yaml:"dns,omitempty" json:"dns,omitempty"`
	CN  string `yaml:"cn,omitempty" json:"cn,omitempty"`
}

// A Rule maps certificates to what they may claim. It is of one kind of name: of the rules that
// match a certificate the one for a URI SAN counts before one for a DNS SAN, that before one for
// a common name, and of one kind the first.
type Rule struct {
	Pattern `yaml:",inline"`

	// Nodes are patterns of the node ids: * stands for one or more characters, {1} for what the
	// first * of the name stood for, and so on.
	Nodes []string `yaml:"nodes" json:"nodes"`
	// Fleets are the fleets that the node may be of; none for any.
	Fleets []string `yaml:"fleets,omitempty" json:"fleets,omitempty"`
}

// Rules say which certificate may claim what. Without any, a certificate may claim the node ids
// that are its DNS names, and the last path segment of its SPIFFE id.
type Rules struct {
	list []Rule
	of   map[string][]compiled // by kind of name
}

type compiled struct {
	Rule

	name *regexp.Regexp
}

// The kinds of names, in the order in which they count.
var kinds = []string{"uri", "dns", "cn"}

// part is what * stands for in a name of a kind.
var part = map[string]string{"uri": `([^/]+)`, "dns": `([^.]+)`, "cn": `(.+)`}

// ParseRules reads a list of rules in YAML, or JSON.
func ParseRules(text string) (Rules, error) {
	r := Rules{of: map[string][]compiled{}}
	if err := decode(text, &r.list); err != nil {
		return Rules{}, err
	}
	for i, rule := range r.list {
		kind, pattern, err := rule.check()
		if err != nil {
			return Rules{}, fmt.Errorf("rule %d: %w", i+1, err)
		}
		r.of[kind] = append(r.of[kind], compiled{rule, nameExpression(kind, pattern)})
	}
	return r, nil
}

// decode reads a list of rules, which has no fields that are not known.
func decode(text string, list any) error {
	d := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	d.KnownFields(true)
	if err := d.Decode(list); err != nil && !errors.Is(err, io.EOF) {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return nil
}

// nameExpression is a pattern of a name of a kind.
func nameExpression(kind, pattern string) *regexp.Regexp {
	flags := ""
	if kind == "dns" {
		flags = "(?i)"
	}
	return expression(flags, pattern, part[kind])
}

var reference = regexp.MustCompile(`\{[^{}]*\}`)

// one is the field that is set, and its kind.
func (p Pattern) one() (kind, pattern string, err error) {
	for _, k := range kinds {
		if text := map[string]string{"uri": p.URI, "dns": p.DNS, "cn": p.CN}[k]; text != "" {
			if kind != "" {
				return "", "", errors.New("it has more than one of uri, dns and cn")
			}
			kind, pattern = k, text
		}
	}
	if kind == "" {
		return "", "", errors.New("it has none of uri, dns and cn")
	}
	return kind, pattern, nil
}

// check finds what a rule is of, or what is wrong with it.
func (r Rule) check() (kind, pattern string, err error) {
	if kind, pattern, err = r.one(); err != nil {
		return "", "", err
	}
	switch {
	case len(r.Nodes) == 0:
		return "", "", errors.New("it has no nodes")
	case r.Fleets != nil && len(r.Fleets) == 0:
		return "", "", errors.New("its fleets are none: leave them out for any")
	case slices.Contains(r.Nodes, "") || slices.Contains(r.Fleets, ""):
		return "", "", errors.New("a node or fleet is empty")
	case !utf8.ValidString(pattern + strings.Join(slices.Concat(r.Nodes, r.Fleets), "")):
		return "", "", errors.New("it is not in UTF-8")
	}
	for _, node := range r.Nodes {
		for _, ref := range reference.FindAllString(node, -1) {
			if n, err := strconv.Atoi(ref[1 : len(ref)-1]); err != nil || n < 1 || n > strings.Count(pattern, "*") {
				return "", "", fmt.Errorf("node %q: %s is none of the %d * of %q", node, ref, strings.Count(pattern, "*"), pattern)
			}
		}
	}
	return kind, pattern, nil
}

// expression is a pattern with what its * stands for.
func expression(flags, pattern, star string) *regexp.Regexp {
	return regexp.MustCompile(flags + "^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, star) + "$")
}

// A grant is what a certificate may claim.
type grant struct {
	nodes  []glob
	fleets []string // nil for any
}

// allows is whether it may claim a node id.
func (g grant) allows(node string) bool {
	return slices.ContainsFunc(g.nodes, func(p glob) bool { return p.matches(node) })
}

// grant is what a certificate may claim; of no nodes where no rule matches it.
func (r Rules) grant(c *x509.Certificate) grant {
	if len(r.list) == 0 {
		return defaultGrant(c)
	}
	for _, kind := range kinds {
		for _, rule := range r.of[kind] {
			g := grant{fleets: rule.Fleets}
			for _, name := range namesOf(c)[kind] {
				if stars := rule.name.FindStringSubmatch(name); stars != nil {
					g.nodes = append(g.nodes, rule.granted(stars)...)
				}
			}
			if len(g.nodes) > 0 {
				return g
			}
		}
	}
	return grant{}
}

// granted are the node ids that a name is granted by a rule, given what the * stood for. A name
// that is not in UTF-8, as no node id may be, is granted none.
func (r compiled) granted(stars []string) (out []glob) {
	if !utf8.ValidString(strings.Join(stars, "")) {
		return nil
	}
	for _, node := range r.Nodes {
		var pattern glob
		at := 0
		for _, span := range reference.FindAllStringIndex(node, -1) {
			n, _ := strconv.Atoi(node[span[0]+1 : span[1]-1]) // check has read it
			pattern = pattern.then(node[at:span[0]]).text(stars[n])
			at = span[1]
		}
		out = append(out, pattern.then(node[at:]))
	}
	return out
}

func defaultGrant(c *x509.Certificate) (g grant) {
	ids := slices.Clone(c.DNSNames)
	for _, u := range c.URIs {
		if i := strings.LastIndex(u.Path, "/"); u.Scheme == "spiffe" && i >= 0 && i < len(u.Path)-1 {
			ids = append(ids, u.Path[i+1:])
		}
	}
	for _, id := range ids {
		if !utf8.ValidString(id) { // of a SPIFFE id like spiffe://a/%ff; no node id is so
			continue
		}
		g.nodes = append(g.nodes, literal(id))
	}
	return g
}

// namesOf are a certificate's names, by kind.
func namesOf(c *x509.Certificate) map[string][]string {
	out := map[string][]string{"dns": c.DNSNames}
	for _, u := range c.URIs {
		out["uri"] = append(out["uri"], u.String())
	}
	if c.Subject.CommonName != "" {
		out["cn"] = []string{c.Subject.CommonName}
	}
	return out
}

// nameOf is the name that a certificate has for people: the first of those that count.
func nameOf(c *x509.Certificate) string {
	names := namesOf(c)
	for _, kind := range kinds {
		if len(names[kind]) > 0 {
			return names[kind][0]
		}
	}
	return c.Subject.String()
}

// String implements pflag.Value: the rules as JSON on one line.
func (r *Rules) String() string {
	if r == nil || len(r.list) == 0 {
		return "[]"
	}
	text, _ := json.Marshal(r.list) // strings alone
	return string(text)
}

// Set implements pflag.Value.
func (r *Rules) Set(text string) (err error) {
	*r, err = ParseRules(text)
	return err
}

// Type implements pflag.Value.
func (r *Rules) Type() string { return "rules" }
