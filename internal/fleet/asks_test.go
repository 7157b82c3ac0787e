package fleet

import (
	"regexp"
	"strings"
	"testing"
)

// askingYAML is a fleet with an HTTP connection manager by ECDS, whose routes are by RDS and in which
// a filter by ECDS asks for a secret.
const askingYAML = `
fleet: edge
resources:
  listeners:
    - name: l
      address: {socket_address: {address: 127.0.0.1, port_value: 1}}
      filter_chains:
        - filters:
            - {name: manager, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager]}}
  clusters:
    - {name: a}
  routes:
    - {name: table, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: a}}]}]}
    - {name: other, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: a}}]}]}
  secrets:
    - {name: key, generic_secret: {secret: {inline_string: x}}}
    - {name: lock, generic_secret: {secret: {inline_string: x}}}
  extension_configs:
    - name: manager
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: s
        rds: {route_config_name: table, config_source: {ads: {}}}
        http_filters:
          - {name: injector, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector]}}
          - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
    - name: injector
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
        overwrite: true
        credential:
          name: g
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
            credential: {name: key, sds_config: {ads: {}}}
            header: x-a
`

// asProxiesKnow reads a fleet file, and returns its resources by the names that proxies know as well.
func asProxiesKnow(t *testing.T, text string) (f *Fleet, all []Resource) {
	t.Helper()
	f, err := Parse("fleet.yaml", []byte(text))
	if err == nil {
		all, err = f.AsProxiesKnow()
	}
	if err != nil {
		t.Fatal(err)
	}
	return f, all
}

// namesOf are the names that proxies know the filters of such a fleet by.
func namesOf(t *testing.T, text string) (manager, injector string) {
	t.Helper()
	_, all := asProxiesKnow(t, text)
	for _, r := range all {
		switch {
		case r.Kind != filterKind:
		case filterKind.ForPeople(r.Name) == "manager":
			manager = r.Name
		case filterKind.ForPeople(r.Name) == "injector":
			injector = r.Name
		}
	}
	if manager == "" || injector == "" {
		t.Fatalf("the filters are %q and %q for proxies", manager, injector)
	}
	return manager, injector
}

// A filter by ECDS has another name for proxies when it asks for something else, or something that
// it asks for does, and the same when it only does something else.
func TestExtensionNamesSayWhatTheyAskFor(t *testing.T) {
	manager, injector := namesOf(t, askingYAML)
	if want := "injector@http.credential_injector.v3.CredentialInjector+a625af8c"; injector != want {
		t.Errorf("proxies know it by %s, and those of before by %s", injector, want)
	}
	for name, c := range map[string]struct {
		from, to          string
		manager, injector bool // have other names
	}{
		"what it does":             {"header: x-a", "header: x-b", false, false},
		"what the outer one does":  {"stat_prefix: s", "stat_prefix: t", false, false},
		"what is in a secret":      {"inline_string: x", "inline_string: z", false, false},
		"another secret":           {"{name: key, sds", "{name: lock, sds", true, true},
		"a secret of another kind": {"{name: key, generic_secret: {secret: {inline_string: x}}}", "{name: key, validation_context: {trusted_ca: {filename: /ca.pem}}}", true, true},
		"other routes":             {"route_config_name: table", "route_config_name: other", true, false},
		"routes of its own":        {"rds: {route_config_name: table, config_source: {ads: {}}}", "route_config: {}", true, false},
		"another timeout":          {"{name: key, sds_config: {ads: {}", "{name: key, sds_config: {ads: {}, initial_fetch_timeout: 1s", true, true},
		"from a file":              {"{name: key, sds_config: {ads: {}", "{name: key, sds_config: {path_config_source: {path: /key.yaml}", true, true},
		"nothing":                  {"credential: {name: key, sds_config: {ads: {}}}", "credential: {name: key}", true, true},
	} {
		text := strings.Replace(askingYAML, c.from, c.to, 1)
		if text == askingYAML {
			t.Fatalf("%s: it is the same file", name)
		}
		m, i := namesOf(t, text)
		if (m != manager) != c.manager || (i != injector) != c.injector {
			t.Errorf("%s: the names are %s and %s; before %s and %s", name, m, i, manager, injector)
		}
		if asks := regexp.MustCompile(`\+[0-9a-f]{8}$`).MatchString(i); asks != (name != "nothing") {
			t.Errorf("%s: it is %s", name, i)
		}
	}
}

// A filter that asks for itself, which no Envoy takes, is read to an end.
func TestExtensionThatAsksForItself(t *testing.T) {
	text := strings.Replace(askingYAML, "{name: injector, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector]}}",
		"{name: injector, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite]}}", 1)
	head, _, _ := strings.Cut(text, "    - name: injector\n")
	text = head + `    - name: injector
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite
        named_filter_chains:
          self:
            typed_config:
              - {name: x, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction, dynamic_config: {name: injector, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite]}}}}
`
	if _, injector := namesOf(t, text); injector == "" {
		t.Error("it has no name")
	}
}
