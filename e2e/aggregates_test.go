package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// aggregates are clusters made of others, and what an Envoy answers that has them.
var aggregates = []struct {
	name, of string
	status   int
}{
	{"one", "real", http.StatusOK},
	{"itself-first", "itself-first, real", http.StatusOK},
	{"itself-last", "real, itself-last", http.StatusOK},
	{"one-first", "one, real", http.StatusOK},
	{"in-a-circle-first", "in-a-circle-last, real", http.StatusOK},
	{"in-a-circle-last", "in-a-circle-first", http.StatusServiceUnavailable},
	{"itself", "itself", http.StatusServiceUnavailable},
	{"nested", "one", http.StatusServiceUnavailable},
	{"nested-twice", "nested, one", http.StatusServiceUnavailable},
}

// aggregatesYAML is a bootstrap with a way to each of them.
func aggregatesYAML(real string) string {
	host, port, _ := strings.Cut(real, ":")
	clusters := fmt.Sprintf("{name: real, load_assignment: {cluster_name: real, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}}", host, port)
	var routes strings.Builder
	for _, a := range aggregates {
		clusters += "\n  - {name: " + a.name + `, lb_policy: CLUSTER_PROVIDED, cluster_type: {name: x, typed_config: {"@type": TYPE/envoy.extensions.clusters.aggregate.v3.ClusterConfig, clusters: [` + a.of + "]}}}"
		fmt.Fprintf(&routes, "{match: {path: /%s}, route: {cluster: %s}}, ", a.name, a.name)
	}
	text := refusalCase(expand("cluster: PLACE\nhttp: route_config: {virtual_hosts: [{name: x, domains: ['*'], routes: [" + routes.String() + "]}]}"))
	return strings.Replace(text, "PLACE", expand(clusters), 1)
}

// Each aggregate that `xds check` refuses is one that answers no request, and no other is.
func TestAggregatesOfAggregates(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(backend.Close)
	text := aggregatesYAML(backend.Listener.Addr().String())
	said := checkTakes(t, []configuration{{"fleet", text}})["fleet"]
	at := serveAlone(t, text)
	for _, a := range aggregates {
		resp, err := rig.Briefly.Get("http://" + at + "/" + a.name)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != a.status {
			t.Errorf("%s, of %s, answers %s, want %d", a.name, a.of, resp.Status, a.status)
		}
		if refused := strings.Contains(fmt.Sprint(said), fmt.Sprintf("cluster %q: it lists aggregates only", a.name)); refused != (a.status != http.StatusOK) {
			t.Errorf("%s, of %s, which answers %s: refused is %v: %v", a.name, a.of, resp.Status, refused, said)
		}
	}
}

// serveAlone runs an Envoy with a bootstrap of its own, and returns where its listener "l" is.
func serveAlone(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "envoy.yaml")
	save(t, file, []byte(text))
	proxy, err := envoy.Start(envoy.Options{Path: envoyPath, Bootstrap: file, NodeID: "alone", Dir: dir, Concurrency: 1, Overlay: expand("{node: {cluster: alone}, admin: {address: ADDRESS}}")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	listeners, err := proxy.Listeners(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return listeners["l"]
}
