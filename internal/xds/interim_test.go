package xds

import (
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// inClusterName is what proxies know the filter by that a cluster has.
const inClusterName = "auth@upstream.http.wasm.v3.Wasm"

// inCluster is the fleet of the other tests with its filter in the cluster.
func inCluster(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	text := strings.ReplaceAll(strings.Replace(fleetYAML, "    listeners: [ingress]", "", 1), "%s", "echo")
	return buildOf(t, strings.Replace(text, "{cluster_name: echo}}\n", `{cluster_name: echo}, typed_extension_protocol_options: {
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions,
        explicit_http_config: {http_protocol_options: {}}, http_filters: [
          {name: auth, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]}},
          {name: codec, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}}]}}}
`, 1), "module")
}

// A filter that moves from a cluster to a listener is in one of the two at any time: the cluster
// loses it when the listener has it, and the revision is served only then. The other way round it has
// it before.
func TestFilterMovesBetweenClusterAndListener(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		h := serve(t, Limits{})
		p := h.proxy("a", sotw, nil, inClusterName)
		up, down := inCluster(t), build(t, "echo", "module")
		h.start(p, "a", up)
		for range 2 {
			n := len(p.Responses())
			h.Assign("a", down)
			if e := h.expect(Served, "a"); e.Revision != down.Pair {
				t.Errorf("it serves %v", e.Revision)
			}
			check(t, "to the listener", sent(p, n), []string{"Listener ingress", "Cluster echo"})
			if has := p.Has(resource.ClusterType)["echo"]; !sotw && has != down.Get(resource.ClusterType, "echo").Version {
				t.Errorf("it has the cluster as %s", has)
			}
			n = len(p.Responses())
			h.Assign("a", up)
			h.expect(Served, "a")
			check(t, "to the cluster", sent(p, n), []string{"Cluster echo", "Listener ingress"})
		}
	})
}

// A cluster that changes otherwise as well changes twice: with the filter, and without it.
func TestClusterChangesTwiceAsItLosesAFilter(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		h := serve(t, Limits{})
		p := h.proxy("a", sotw, nil, inClusterName)
		text := strings.ReplaceAll(fleetYAML, "%s", "echo")
		down := buildOf(t, strings.Replace(text, "connect_timeout: 1s", "connect_timeout: 2s", 1), "module")
		h.start(p, "a", inCluster(t))
		n := len(p.Responses())
		h.Assign("a", down)
		h.expect(Served, "a")
		check(t, "to the listener", sent(p, n), []string{"Cluster echo", "Listener ingress", "Cluster echo"})
		at := func(i int) string { return p.Responses()[n+i].Resources["echo"] }
		if final := down.Get(resource.ClusterType, "echo").Version; !sotw && (at(0) == final || at(2) != final) {
			t.Errorf("the cluster is %s and then %s, want %s at last", at(0), at(2), final)
		}
	})
}

// A proxy that refuses the listener keeps the filter in the cluster.
func TestFilterStaysInClusterWithoutListener(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		h := serve(t, Limits{})
		var refuses atomic.Bool
		p := h.proxy("a", sotw, func(r xdstest.Response) error {
			if refuses.Load() && r.TypeURL == resource.ListenerType {
				return errBad
			}
			return nil
		}, inClusterName)
		up, down := inCluster(t), build(t, "echo", "module")
		h.start(p, "a", up)
		refuses.Store(true)
		n := len(p.Responses())
		h.Assign("a", down)
		if e := h.expect(Rejected, "a"); e.Revision != down.Pair {
			t.Errorf("it refuses %v", e.Revision)
		}
		check(t, "without the listener", sent(p, n), []string{"Listener ingress"})
		refuses.Store(false)
		h.Assign("a", up)
		h.expect(Served, "a")
		if has := p.Has(resource.ClusterType)["echo"]; !sotw && has != up.Get(resource.ClusterType, "echo").Version {
			t.Errorf("it has the cluster as %s", has)
		}
	})
}
