package fleet

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"
)

const secretYAML = `fleet: edge
filters:
- name: a
  module: {file: a.wasm}
  config_from: %s
  listeners: [ingress]
` + ingressManager + `                route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}
                http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
`

func TestConfigFrom(t *testing.T) {
	for from, want := range map[string]ConfigFrom{
		"{file: a.json}":     {File: "dir/a.json", Line: 5},
		"{file: s/a.yaml}":   {File: "dir/s/a.yaml", Line: 5},
		"{file: /etc/a.yml}": {File: "/etc/a.yml", Line: 5},
		"{env: KEY}":         {Env: "KEY", Line: 5},
	} {
		f, err := Parse("dir/fleet.yaml", fmt.Appendf(nil, secretYAML, from))
		if err != nil || f.Filters[0].ConfigFrom != want || !f.Filters[0].Secret() || f.Filters[0].Plugin.GetConfiguration() != nil {
			t.Errorf("%s: %v, %v", from, f, err)
		}
	}
	for from, want := range map[string]string{
		"{}":                    "5: config_from: it is {file: PATH} or {env: NAME}",
		"secret.json":           "5: config_from: it is {file: PATH} or {env: NAME}",
		"{file: a, env: b}":     "5: config_from: it is {file: PATH} or {env: NAME}",
		"{fil: a}":              `5: config_from: unknown field "fil"`,
		"{file: {a: b}}":        "5: config_from: file: it has no name",
		"{env: }":               "5: config_from: env: it has no name",
		"{file: a.yaml}":        "5: config_from: a.yaml would be taken for a fleet file",
		"{file: ./s/../a.yml}":  "5: config_from: ./s/../a.yml would be taken for a fleet file",
		"{env: A}\n  config: b": "5: config_from: there is config or plugin.configuration already",
		"{env: A}\n  plugin: {configuration: {\"@type\": type.googleapis.com/google.protobuf.StringValue, value: b}}": "5: config_from: there is config or",
	} {
		if _, err := Parse("dir/fleet.yaml", fmt.Appendf(nil, secretYAML, from)); err == nil || !strings.Contains(err.Error(), "dir/fleet.yaml:"+want) {
			t.Errorf("%s: %v", from, err)
		}
	}
}

// A secret is the configuration as it is, byte for byte; what was parsed is not changed.
func TestConfigured(t *testing.T) {
	for _, text := range []string{"", "token\n", `{"a": 1}`, "\xff\x00"} {
		f, err := Parse("fleet.yaml", fmt.Appendf(nil, secretYAML, "{file: a.json}"))
		if err != nil {
			t.Fatal(err)
		}
		read := func(path string) ([]byte, error) {
			if path != "a.json" {
				return nil, os.ErrNotExist
			}
			return []byte(text), nil
		}
		whole, err := f.Configured(func(c ConfigFrom) ([]byte, error) { return c.Read(read, nil) })
		if err != nil || f.Filters[0].Plugin.GetConfiguration() != nil {
			t.Fatalf("%v, %v", err, f.Filters[0].Plugin)
		}
		packed, got := whole.Filters[0].Plugin.GetConfiguration(), ""
		if s := (&wrapperspb.StringValue{}); packed.UnmarshalTo(s) == nil {
			got = s.GetValue()
		} else if b := (&wrapperspb.BytesValue{}); packed.UnmarshalTo(b) == nil {
			got = string(b.GetValue())
		}
		if got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestConfiguredErrors(t *testing.T) {
	env := func(string) (string, bool) { return "", false }
	for from, want := range map[string]string{"{file: a}": "fleet.yaml:5: filter \"a\": config_from: a does not exist", "{env: KEY}": "fleet.yaml:5: filter \"a\": config_from: the environment of xds has no KEY"} {
		f, err := Parse("fleet.yaml", fmt.Appendf(nil, secretYAML, from))
		if err != nil {
			t.Fatal(err)
		}
		gone := func(string) ([]byte, error) { return nil, fmt.Errorf("a: %w", os.ErrNotExist) }
		if _, err := f.Configured(func(c ConfigFrom) ([]byte, error) { return c.Read(gone, env) }); err == nil || err.Error() != want {
			t.Errorf("%s: %v", from, err)
		}
	}
	large := func(string) ([]byte, error) { return make([]byte, maxConfig+1), nil }
	if _, err := (ConfigFrom{File: "a"}).Read(large, env); err == nil {
		t.Error("a large one was taken")
	}
	denied := func(string) ([]byte, error) { return nil, errors.New("denied") }
	if _, err := (ConfigFrom{File: "a"}).Read(denied, env); err == nil || !strings.Contains(err.Error(), "a can't be read: denied") {
		t.Error(err)
	}
}

func TestHider(t *testing.T) {
	h := NewHider([]byte(`{"header": "x-token", "keys": ["s3cr3t-1", {"k": "s3cr3t-12 and more"}], "n": 123456, "on": true, "short": "abc"}`), []byte("user:pass word1\n"))
	for text, want := range map[string]string{
		"no secret in header on abc true":  "no secret in header on abc true",
		"it calls s3cr3t-12, and s3cr3t-1": "it calls [secret], and [secret]",
		"s3cr3t-12 and more":               "[secret]",
		"x-token: 123456":                  "[secret]: [secret]",
		"user:pass word1":                  "[secret]",
		"the word1 of user is pass":        "the [secret] of [secret] is [secret]",
		`{"n": 123456}`:                    `{"n": [secret]}`,
	} {
		if got := h.Hide(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := (Hider{}).Hide("as it is"); got != "as it is" {
		t.Error(got)
	}
	if got := NewHider(nil, []byte("")).Hide("as it is"); got != "as it is" {
		t.Error(got)
	}
}

// A key that stands where it does not belong is not quoted.
func TestKeysAreNotQuoted(t *testing.T) {
	for _, key := range []string{"private_key: CANARY", "private_key: {inline_bytes: CANARY-}", "private_key: {inline_bytes: 12.5}", "password: [CANARY]", "password: {inline_string: 1234567}"} {
		_, err := Parse("fleet.yaml", []byte("fleet: edge\nresources:\n  secrets:\n  - {name: a, tls_certificate: {certificate_chain: {filename: a}, "+key+"}}\n"))
		if err == nil || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "12.5") || strings.Contains(err.Error(), "1234567") {
			t.Errorf("%s: %v", key, err)
		}
	}
}
