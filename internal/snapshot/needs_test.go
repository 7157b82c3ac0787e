package snapshot

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

const ads = `{ads: {}, resource_api_version: V3}`

// randomFleet is a fleet of listeners, clusters and what these may ask for, with names
// of a few, so that two of them have some in common.
func randomFleet(r *rand.Rand) string {
	var listeners, clusters strings.Builder
	pick := func(of string) string { return fmt.Sprintf("%s%d", of, r.IntN(3)) }
	for i := range 1 + r.IntN(2) {
		routes, tls := `route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}`, ""
		if r.IntN(2) == 0 {
			routes = fmt.Sprintf(`rds: {route_config_name: %s, config_source: %s}`, pick("route"), ads)
		}
		if r.IntN(2) == 0 {
			tls = fmt.Sprintf(`
          transport_socket:
            name: tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context: {tls_certificate_sds_secret_configs: [{name: %s, sds_config: %s}]}`, pick("cert"), ads)
		}
		fmt.Fprintf(&listeners, `
    - name: listener%d
      address: {socket_address: {address: 127.0.0.1, port_value: %d}}
      filter_chains:
        - filters:
            - name: hcm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: x
                %s
                http_filters:
                  - name: router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}%s`, i, 80+i, routes, tls)
	}
	for i := range 1 + r.IntN(3) {
		fmt.Fprintf(&clusters, "\n    - name: cluster%d\n      connect_timeout: 1s\n", i)
		switch r.IntN(3) {
		case 0:
			fmt.Fprintf(&clusters, "      type: STATIC\n      load_assignment: {cluster_name: cluster%d}\n", i)
		case 1:
			fmt.Fprintf(&clusters, "      type: EDS\n      eds_cluster_config: {eds_config: %s, service_name: %s}\n", ads, pick("service"))
		default:
			fmt.Fprintf(&clusters, "      type: EDS\n      eds_cluster_config: {eds_config: %s}\n", ads)
		}
	}
	text := fmt.Sprintf(`
fleet: edge
filters: [{name: auth, module: {file: auth.wasm}, listeners: [listener0], shadow: %t}]
resources:
  listeners:%s
  clusters:%s
  routes: [{name: route0}, {name: route1}, {name: route2}]
  secrets: [{name: cert0, generic_secret: {}}, {name: cert1, generic_secret: {}}, {name: cert2, generic_secret: {}}]
  endpoints:`, r.IntN(2) == 0, listeners.String(), clusters.String())
	for i := range 3 {
		text += fmt.Sprintf("\n    - cluster_name: service%d\n    - cluster_name: cluster%d", i, i)
	}
	return text + "\n"
}

func randomSnapshot(t *testing.T, r *rand.Rand) *Snapshot {
	t.Helper()
	text := randomFleet(r)
	f, err := fleet.Parse("fleet.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	s, err := Build(f, map[string]*module.Module{"auth.wasm": module.New([]byte(fmt.Sprint("module", r.IntN(2))))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// named looks for what the listeners and clusters in a snapshot make a proxy ask for,
// in their text: by no rule that the snapshot itself goes by.
func named(t *testing.T, s *Snapshot) map[string][]string {
	t.Helper()
	found := map[string]map[string]bool{}
	note := func(typeURL, name string) {
		if found[typeURL] == nil {
			found[typeURL] = map[string]bool{}
		}
		found[typeURL][name] = true
	}
	for _, typeURL := range []string{resource.ListenerType, resource.ClusterType} {
		for _, r := range s.All(typeURL) {
			note(typeURL, r.Name)
			m, err := r.Wire.GetResource().UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(strings.Fields(prototext.MarshalOptions{Multiline: true}.Format(m)), " ")
			if strings.Contains(text, "eds_config:") {
				note(resource.EndpointType, after(text, `service_name: "`, r.Name))
			}
			for _, part := range strings.Split(text, `tls_certificate_sds_secret_configs: { name: "`)[1:] {
				note(resource.SecretType, quoted(part))
			}
			for _, part := range strings.Split(text, `route_config_name: "`)[1:] {
				note(resource.RouteType, quoted(part))
			}
			for _, filter := range []string{"auth", ShadowPrefix + "auth"} {
				if strings.Contains(text, `http_filters: { name: "`+filter+`" config_discovery`) {
					note(resource.ExtensionConfigType, filter)
				}
			}
		}
	}
	out := map[string][]string{}
	for typeURL, names := range found {
		out[typeURL] = slices.Sorted(maps.Keys(names))
	}
	return out
}

func after(text, begin, otherwise string) string {
	_, rest, ok := strings.Cut(text, begin)
	if !ok {
		return otherwise
	}
	return quoted(rest)
}

func quoted(text string) string {
	name, _, _ := strings.Cut(text, `"`)
	return name
}

// What a proxy must have, to be on what it is given, is what something in that makes
// it ask for: no more, for it would never ask, and no less.
func TestRequiredIsWhatIsAskedFor(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		a, b := randomSnapshot(t, r), randomSnapshot(t, r)
		for name, s := range map[string]*Snapshot{
			"itself": a, "live alone": Compose(a, nil, ""), "a shadow alone": Compose(nil, b, ""), "a shadow beside": Compose(a, b, ""),
		} {
			want := named(t, s)
			for _, k := range fleet.Kinds {
				typeURL := k.Type
				if !slices.Equal(s.Required(typeURL), want[typeURL]) {
					t.Fatalf("seed %d, %s: of %s it requires %q, and a proxy asks for %q", seed, name, typeURL, s.Required(typeURL), want[typeURL])
				}
				for _, name := range s.Required(typeURL) {
					if s.Get(typeURL, name) == nil {
						t.Fatalf("seed %d: %s %q is required and not there", seed, typeURL, name)
					}
				}
			}
		}
	}
}
