package fleet

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
)

// bothYAML is a fleet whose filters are of a listener, its router's upstream filters, and a cluster.
const bothYAML = `
fleet: edge
filters:
  - {name: gate, module: {file: a.wasm}}
  - {name: only, module: {file: a.wasm}}
` + ingressManager + `                route_config:
                  virtual_hosts:
                    - name: v
                      domains: ["*"]
                      routes:
                        - match: {prefix: /}
                          route: {cluster: a}
                          typed_per_filter_config:
                            gate: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}
                            only: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}
                            doors: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}
                            up: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}
                http_filters:
                  - SLOT gate, http.wasm.v3.Wasm
                  - SLOT doors, http.rbac.v3.RBAC
                  - name: router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                      upstream_http_filters:
                        - SLOT up, http.rbac.v3.RBAC
                        - {name: codec, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}}
  clusters:
    - name: a
      filters: [SLOT bytes, network.rbac.v3.RBAC]
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http_protocol_options: {}}
          http_filters:
            - SLOT gate, http.wasm.v3.Wasm
            - SLOT only, http.wasm.v3.Wasm
            - SLOT doors, http.rbac.v3.RBAC
            - {name: codec, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}}
  extension_configs:
    - {name: doors, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC}}
    - {name: up, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC}}
    - {name: bytes, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC, stat_prefix: x}}
`

// slots writes filters by ECDS in full: "SLOT name, type".
func slots(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		before, slot, has := strings.Cut(line, "SLOT ")
		if !has {
			continue
		}
		name, kind, _ := strings.Cut(slot, ", ")
		kind, rest, _ := strings.Cut(kind, "]")
		if lines[i] = before + "{name: " + name + ", config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters." + kind + "]}}"; strings.HasSuffix(line, "]") {
			lines[i] += "]" + rest
		}
	}
	return strings.Join(lines, "\n")
}

// An HTTP filter by ECDS has another name for proxies where a cluster has it than where a listener
// does: Envoy feeds only one of two subscriptions of one name. Routes say to both what they say.
func TestFiltersOfClustersHaveNamesOfTheirOwn(t *testing.T) {
	f, all := asProxiesKnow(t, slots(bothYAML))
	const wasm, rbac = "@upstream.http.wasm.v3.Wasm", "@upstream.http.rbac.v3.RBAC"
	var configs []string
	for _, r := range all {
		if r.Kind == filterKind {
			configs = append(configs, r.Name)
			if r.Kind.NameOf(r.Message) != r.Name || f.LineOfFilter(r.Name) == 0 || strings.Contains(filterKind.ForPeople(r.Name), "@") {
				t.Errorf("%s is %s for people, at line %d", r.Name, filterKind.ForPeople(r.Name), f.LineOfFilter(r.Name))
			}
			continue
		}
		text := strings.ReplaceAll(protojson.Format(r.Message), " ", "")
		for _, name := range map[string][]string{
			listenerKind.Type: {`"gate"`, `"doors@http.rbac.v3.RBAC"`, `"up` + rbac + `"`},
			clusterKind.Type:  {`"gate` + wasm + `"`, `"only` + wasm + `"`, `"doors` + rbac + `"`, `"bytes@network.rbac.v3.RBAC"`},
		}[r.Kind.Type] {
			if !strings.Contains(text, `"name":`+name) {
				t.Errorf("%s has no filter %s:\n%s", r.Kind.Name, name, text)
			}
		}
		for _, name := range []string{"gate", "gate" + wasm, "only" + wasm, "doors@http.rbac.v3.RBAC", "doors" + rbac, "up" + rbac} {
			if r.Kind == listenerKind && !strings.Contains(text, `"`+name+`":{`) {
				t.Errorf("routes say nothing to %s:\n%s", name, text)
			}
		}
	}
	slices.Sort(configs)
	if want := []string{"bytes@network.rbac.v3.RBAC", "doors@http.rbac.v3.RBAC", "doors" + rbac, "up" + rbac}; !slices.Equal(configs, want) {
		t.Errorf("proxies know the filters %q, want %q", configs, want)
	}
	names := f.UpstreamNames()
	if len(names) != 2 || names["gate"] != "gate"+wasm || !IsUpstream(names["only"]) || IsUpstream("gate") || f.LineOfFilter(names["gate"]) != f.Filters[0].ModuleLine {
		t.Errorf("those of the file are %q", names)
	}
}

// One that must keep its name, for something reads what it writes under that, is refused in both places.
func TestFilterOfBothThatIsRead(t *testing.T) {
	text := strings.ReplaceAll(slots(bothYAML), "{name: doors, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC}}",
		"{name: doors, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor, grpc_service: {envoy_grpc: {cluster_name: a}}}}")
	text = strings.ReplaceAll(text, "{name: doors, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "{name: doors, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor")
	if _, err := Parse("fleet.yaml", []byte(text)); err != nil {
		t.Fatal(err)
	}
	_, err := Parse("fleet.yaml", []byte(strings.Replace(text, "                route_config:\n", "                access_log: [{name: a, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, log_format: {text_format_source: {inline_string: \"%FILTER_STATE(doors:PLAIN)%\"}}}}]\n                route_config:\n", 1)))
	if err == nil || !strings.Contains(err.Error(), `filter "doors" is of a listener and of a cluster`) || !strings.HasPrefix(err.Error(), "fleet.yaml:") {
		t.Errorf("it is read: %v", err)
	}
}

// A filter that only a composite filter names is in the listener of that.
func TestFilterOfAComposite(t *testing.T) {
	const composite = `{name: some, typed_config: {"@type": type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher,
                      extension_config: {name: c, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite}},
                      xds_matcher: {on_no_match: {action: {name: a, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction,
                        dynamic_config: {name: NAME, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]}}}}}}}}`
	text := slots(strings.Replace(bothYAML, "                  - SLOT doors", "                  - "+composite+"\n                  - SLOT doors", 1))
	text = strings.Replace(text, "  - {name: only, module: {file: a.wasm}}", "  - {name: only, module: {file: a.wasm}}\n  - {name: rare, module: {file: a.wasm}}", 1)
	f, err := Parse("fleet.yaml", []byte(strings.Replace(text, "NAME", "rare", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if names := f.UpstreamNames(); names["rare"] != "" {
		t.Errorf("it is of a cluster: %q", names)
	}
	if _, err := Parse("fleet.yaml", []byte(strings.Replace(text, "NAME", "gate", 1))); err == nil || !strings.Contains(err.Error(), `filter "rare" is in no listener`) {
		t.Errorf("what nothing names is read: %v", err)
	}
}
