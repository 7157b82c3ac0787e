package e2e

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/xds"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// grpcService is a gRPC service that says which one it is by its number of healthy names.
func grpcService(t *testing.T, name string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, h := grpc.NewServer(), health.NewServer()
	h.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, h)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("the service: %v", err)
		}
	})
	return listener.Addr().String()
}

// grpcYAML is a fleet of an Envoy's listener and of one for gRPC clients, which goes to a
// service at an address.
func (w *world) grpcYAML(address string) []byte {
	host, port := w.service()
	service, servicePort, _ := strings.Cut(address, ":")
	return w.fleetYAML(fleetOptions{Checks: checks, Rollout: straight, Extra: fmt.Sprintf(`
    - name: service.test
      api_listener: {api_listener: {
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager,
        stat_prefix: service,
        rds: {route_config_name: to-service, config_source: {ads: {}, resource_api_version: V3}},
        http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}
  routes:
    - name: to-service
      virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: ""}, route: {cluster: service}}]}]
  clusters:
    - name: service
      type: EDS
      eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}
    - name: echo
      type: STATIC
      load_assignment:
        cluster_name: echo
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]
  endpoints:
    - cluster_name: service
      endpoints:
        - locality: {region: here}
          load_balancing_weight: 1
          lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]`, host, port, service, servicePort)})
}

// grpcClient is a client of gRPC's own xDS, of the same fleet.
func (w *world) grpcClient(target string) healthpb.HealthClient {
	w.t.Helper()
	resolver, err := xds.NewXDSResolverWithConfigForTesting(fmt.Appendf(nil, `{
		"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		"node": {"id": "grpc-client", "cluster": "edge"}
	}`, w.listen))
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///"+target, grpc.WithResolvers(resolver), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return healthpb.NewHealthClient(conn)
}

// A gRPC client, which asks for what it wants by name and has no shadow listener, is
// served beside an Envoy, from the first revision on, and holds no save up.
func TestGRPCClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begins(w.grpcYAML(grpcService(t, "one")), gate(t, 1))
	client := w.grpcClient("service.test")
	p := w.startProxy("edge-0")
	ask := func(name string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: name}, grpc.WaitForReady(true))
		return err
	}
	w.eventually("the client is served", func() error { return ask("one") })
	p.serves(w.servingRevision(2))
	p.guards()

	saved := time.Now()
	save(t, w.fleet, w.grpcYAML(grpcService(t, "two")))
	w.revisionAfter(2)
	t.Logf("another address of the service: served after %d ms", time.Since(saved).Milliseconds())
	w.eventually("the client goes to the other service", func() error { return ask("two") })

	saved = time.Now()
	save(t, w.module, gate(t, 2))
	w.revisionAfter(3)
	t.Logf("another module: served after %d ms", time.Since(saved).Milliseconds())
	p.runs("x-build", build(2))
	if err := ask("two"); err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(w.history(), func(e api.Entry) bool {
		return e.Kind == api.EventUnproven && e.Node == "grpc-client" && strings.Contains(e.Reason, "asks for 4 resources by name")
	}) {
		t.Errorf("the history does not say that the client is unproven: %+v", w.history())
	}
}
