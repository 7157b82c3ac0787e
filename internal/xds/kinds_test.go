package xds

import (
	"slices"
	"strings"
	"testing"

	thriftv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/thrift_proxy/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

const calls = "envoy.extensions.filters.network.thrift_proxy.v3."

// withKind has a kind for the time of a test that this server does not have: a row, beside
// the filters, which are given before the listeners.
func withKind(t *testing.T) *fleet.Kind {
	t.Helper()
	filters := slices.IndexFunc(fleet.Kinds, func(k *fleet.Kind) bool { return k.Type == resource.ExtensionConfigType })
	k := &fleet.Kind{
		Name: "call", Section: "calls", Type: "type.googleapis.com/" + calls + "RouteConfiguration", Turn: fleet.Kinds[filters].Turn,
		Message: &thriftv3.RouteConfiguration{}, NameField: "name",
		AskedBy: []fleet.AskedBy{{Message: calls + "Trds", Source: "config_source", Name: "route_config_name"}},
	}
	before := fleet.Kinds
	fleet.Kinds = slices.Insert(slices.Clone(before), filters+1, k)
	t.Cleanup(func() { fleet.Kinds = before })
	return k
}

// fleetOfCalls has a listener that asks for one of that kind, which goes to a cluster.
func fleetOfCalls(statPrefix, method string) string {
	return `
fleet: edge` + ingress + `
            - name: thrift
              typed_config:
                "@type": type.googleapis.com/` + calls + `ThriftProxy
                stat_prefix: ` + statPrefix + `
                trds: {config_source: {ads: {}, resource_api_version: V3}, route_config_name: all}
  clusters:
    - {name: echo, connect_timeout: 1s, type: STATIC, load_assignment: {cluster_name: echo}}
  calls:
    - {name: all, routes: [{match: {method_name: ` + method + `}, route: {cluster: echo}}]}
`
}

// A new kind of resource is a row: with it a fleet file has a section of them, which is held
// against what refers to them; a revision has them, on disk and in a comparison as well; and
// proxies are given them when they ask, in their order, and must accept them.
func TestNewKindIsARow(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		text := fleetOfCalls("a", "get")
		refused(t, text, `unknown field "calls"`)
		kind := withKind(t)
		refused(t, strings.Replace(text, "{name: all,", "{name: other,", 1), `call "all" does not exist in this fleet`)
		refused(t, strings.Replace(text, "{name: all, routes", "{routes", 1), "call 1 has no name")
		refused(t, strings.Replace(text, "route: {cluster: echo}", "route: {cluster: nobody}", 1), `cluster "nobody" does not exist in this fleet`)

		first, second := saved(t, buildOf(t, text, "")), buildOf(t, fleetOfCalls("b", "put"), "")
		if got := first.Required(kind.Type); !slices.Equal(got, []string{"all"}) {
			t.Errorf("a proxy is to have %v", got)
		}
		changes, err := snapshot.Diff(first, second)
		if err != nil || len(changes) != 2 || changes[0].Type != "RouteConfiguration" || !strings.Contains(changes[0].Diff, "put") {
			t.Errorf("they differ in %+v, %v", changes, err)
		}

		h := serve(t, Limits{})
		p := xdstest.New(xdstest.Config{Node: xdstest.Node("a", "edge", nil), SotW: sotw, Names: map[string][]string{kind.Type: {"all"}}})
		t.Cleanup(p.Close)
		h.start(p, "a", first)
		check(t, "at first", sent(p, 0), []string{"Cluster echo", "Listener ingress", "RouteConfiguration all"})
		h.Assign("a", second)
		if e := h.expect(Served, "a"); e.Revision != second.Pair {
			t.Errorf("it serves %v", e.Revision)
		}
		check(t, "then", sent(p, 3), []string{"RouteConfiguration all", "Listener ingress"})
	})
}

// refused holds what is wrong with a fleet file against what should be.
func refused(t *testing.T, text, want string) {
	t.Helper()
	if _, err := fleet.Parse("fleet.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("it is refused for %v, want %s", err, want)
	}
}

// saved is a revision as a restarted server has it.
func saved(t *testing.T, s *snapshot.Snapshot) *snapshot.Snapshot {
	t.Helper()
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := snapshot.Decode("edge", data)
	if err != nil || read.ID != s.ID {
		t.Fatalf("it is read as %v, %v", read, err)
	}
	return read
}
