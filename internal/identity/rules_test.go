package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"strings"
	"testing"
)

// certificate has names like uri:…, dns:… and cn:….
func certificate(t *testing.T, names ...string) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{}
	for _, name := range names {
		kind, text, _ := strings.Cut(name, ":")
		switch kind {
		case "uri":
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		case "dns":
			c.DNSNames = append(c.DNSNames, text)
		case "cn":
			c.Subject = pkix.Name{CommonName: text}
		}
	}
	return c
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		rules    string
		names    string
		may, not string // node ids
		fleets   string
	}{
		{"", "dns:edge-1", "edge-1", "edge-2 edge-10 xedge-1 edge.1", ""},
		{"", "dns:a dns:b", "a b", "c ab", ""},
		{"", "uri:spiffe://example.org/ns/prod/edge-1", "edge-1", "prod ns example.org ns/prod/edge-1", ""},
		{"", "uri:https://example.org/edge-1", "", "edge-1", ""},
		{"", "uri:spiffe://example.org/ uri:spiffe://example.org", "", "example.org /", ""},
		{"", "cn:edge-1", "", "edge-1", ""},
		{"", "dns:*.edge", "*.edge", "a.edge", ""},
		{`[{dns: "*.edge.example", nodes: ["{1}"], fleets: [edge]}]`, "dns:a.edge.example", "a", "b a.edge.example aa", "edge"},
		{`[{dns: "*.edge.example", nodes: ["{1}"]}]`, "dns:a.b.edge.example", "", "a b a.b", ""},
		{`[{dns: "*.edge.example", nodes: ["{1}"]}]`, "dns:A.EDGE.example", "A", "a", ""},
		{`[{uri: "spiffe://*/edge/*", nodes: ["{1}-{2}", "{2}"]}]`, "uri:spiffe://eu/edge/1", "eu-1 1", "1-eu 2", ""},
		{`[{uri: "spiffe://eu/*", nodes: ["*"]}]`, "uri:spiffe://eu/a/b", "", "a b", ""},
		{`[{cn: ops, nodes: ["edge-*"]}]`, "cn:ops", "edge-1 edge-x.y", "edge- edge xedge-1", ""},
		// A name's own * and dots are no pattern.
		{`[{cn: "*", nodes: ["{1}"]}]`, "cn:.*", ".*", "a", ""},
		// The URI SAN counts first, then the DNS SAN, then the CN, whatever the order of the rules.
		{`[{cn: "*", nodes: [c]}, {dns: "*", nodes: [d], fleets: [x]}, {uri: "spiffe://*", nodes: [u]}]`, "cn:a dns:a uri:spiffe://a", "u", "c d", ""},
		{`[{cn: "*", nodes: [c]}, {dns: "*", nodes: [d], fleets: [x]}, {uri: "spiffe://*", nodes: [u]}]`, "cn:a dns:a uri:spiffe://a/b", "d", "c u", "x"},
		{`[{cn: "*", nodes: [c]}, {dns: "*", nodes: [d], fleets: [x]}, {uri: "spiffe://*", nodes: [u]}]`, "cn:a", "c", "d u", ""},
		{`[{dns: "a", nodes: [first]}, {dns: "*", nodes: [second]}]`, "dns:b dns:a", "first", "second", ""},
		// With rules there is no default.
		{`[{dns: "a", nodes: [a]}]`, "dns:b", "", "b a", ""},
	} {
		rules, err := ParseRules(c.rules)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseRules(rules.String()); err != nil || again.String() != rules.String() {
			t.Errorf("%s is, written and read, %s (%v)", rules.String(), again.String(), err)
		}
		g := rules.grant(certificate(t, strings.Fields(c.names)...))
		for _, node := range strings.Fields(c.may) {
			if !g.allows(node) {
				t.Errorf("rules %s, certificate %s: may not claim %q", c.rules, c.names, node)
			}
		}
		for _, node := range strings.Fields(c.not) {
			if g.allows(node) {
				t.Errorf("rules %s, certificate %s: may claim %q", c.rules, c.names, node)
			}
		}
		if got := strings.Join(g.fleets, " "); got != c.fleets {
			t.Errorf("rules %s, certificate %s: fleets %q, want %q", c.rules, c.names, got, c.fleets)
		}
		if g.allows("") || g.allows("a\nb") && !strings.Contains(c.rules, `"*"`) {
			t.Errorf("rules %s, certificate %s: may claim an id of nothing or two lines", c.rules, c.names)
		}
	}
}

func TestParseRulesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                 "cannot unmarshal",
		"- {}":                               "rule 1: it has none of uri, dns and cn",
		"- {dns: a}":                         "rule 1: it has no nodes",
		"- {dns: a, cn: b, nodes: [c]}":      "rule 1: it has more than one of",
		"- {dns: a, nodes: ['']}":            "rule 1: a node or fleet is empty",
		"- {dns: a, nodes: [c], fleets: []}": "rule 1: its fleets are none",
		"- {dns: a, nodes: [c], x: 1}":       "field x not found",
		"- {dns: a, nodes: ['{1}']}":         `node "{1}": {1} is none of the 0 * of "a"`,
		"- {dns: '*', nodes: ['{2}']}":       "{2} is none of the 1 *",
		"- {dns: '*', nodes: ['{0}']}":       "{0} is none of",
		"- {dns: '*', nodes: ['{name}']}":    "{name} is none of",
	} {
		if _, err := ParseRules(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
