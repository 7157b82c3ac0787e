package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	routeservicev3 "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
)

// otherServer is a management server of routes, that of another team: the cluster "other" of the
// proxies' bootstraps.
type otherServer struct {
	routeservicev3.UnimplementedRouteDiscoveryServiceServer
}

func (otherServer) StreamRoutes(stream grpc.BidiStreamingServer[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		if req.GetResponseNonce() != "" {
			continue
		}
		packed, err := anypb.New(&routev3.RouteConfiguration{Name: "late", VirtualHosts: []*routev3.VirtualHost{{
			Name: "all", Domains: []string{"*"}, Routes: []*routev3.Route{{
				Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "echo"}}},
			}},
		}}})
		if err != nil {
			return err
		}
		if err := stream.Send(&discoveryv3.DiscoveryResponse{TypeUrl: req.GetTypeUrl(), VersionInfo: "1", Nonce: "1", Resources: []*anypb.Any{packed}}); err != nil {
			return err
		}
	}
}

const otherCluster = `{static_resources: {clusters: [{name: other, type: STATIC, http2_protocol_options: {},
  load_assignment: {cluster_name: other, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]}}]}}`

// routesOf is a fleet whose routes have a name and come from that server, which is waited for; with none,
// it has them itself.
func (w *world) routesOf(name, patience string) []byte {
	w.t.Helper()
	o := fleetOptions{Checks: checks, Rollout: `{prove: 100ms, limits: {answers: off}, stages: [{name: canary, proxies: 1, bake: 200ms, deadline: 60s}, {name: all, percent: 100, bake: 200ms, deadline: 60s}]}`}
	if name != "" {
		o.Tail = fmt.Sprintf(`
                rds:
                  route_config_name: %s
                  config_source:
                    resource_api_version: V3
                    initial_fetch_timeout: %s
                    api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: other}}]}`, name, patience)
	}
	return append([]byte("bootstrap_clusters: [other]\n"), w.fleetYAML(o)...)
}

// A listener that waits for what another than the server is to deliver is acknowledged, and the one
// before it answers the checks: that proves nothing, and no stage goes on before it is warm. When it is,
// without what it waited for, it is the canary alone that meets it.
func TestListenerThatWarms(t *testing.T) {
	t.Parallel()
	variants(t, func(t *testing.T, sotw bool) {
		w := newWorld(t)
		w.Variant = sotw
		other := freeAddress(t)
		_, port, err := net.SplitHostPort(other)
		if err != nil {
			t.Fatal(err)
		}
		w.Bootstrap = fmt.Sprintf(otherCluster, port)
		write(t, w.module, gate(t, 1))
		write(t, w.fleet, w.routesOf("", ""))
		w.startServer()
		proxies := w.proxies(2)
		w.servingRevision(2)
		stop := users(proxies)
		save(t, w.fleet, w.routesOf("late", "0s"))
		w.saying("are not known to be warm yet", "rollout", "status")
		for _, p := range proxies {
			p.guards()
		}
		serveOther(t, other)
		late := w.revisionAfter(2)
		for _, p := range proxies {
			p.serves(late)
		}
		if wrong := stop(); len(wrong) > 0 {
			t.Errorf("%d requests failed, the first: %s", len(wrong), wrong[0])
		}

		stop = users(proxies)
		save(t, w.fleet, w.routesOf("never", "2s")) // the server sends others under that name
		if r := w.rejection(0); !strings.Contains(r.Reason, "a check fails in its real listener") {
			t.Errorf("it is rejected: %s", r.Reason)
		}
		for _, p := range proxies {
			p.serves(late)
		}
		hit := map[string]bool{}
		for _, wrong := range stop() {
			node, _, _ := strings.Cut(wrong, ":")
			hit[node] = true
		}
		if len(hit) > 1 {
			t.Errorf("more than the canary was hit: %v", hit)
		}
	})
}

func serveOther(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	routeservicev3.RegisterRouteDiscoveryServiceServer(g, otherServer{})
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		<-served
	})
}
