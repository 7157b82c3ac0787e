package xds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

func TestMain(m *testing.M) {
	if attack(os.Getenv(attackEnv)) {
		return
	}
	goleak.VerifyTestMain(m)
}

// variants runs a test for both variants of the protocol.
func variants(t *testing.T, test func(t *testing.T, sotw bool)) {
	t.Run("delta", func(t *testing.T) { test(t, false) })
	t.Run("sotw", func(t *testing.T) { test(t, true) })
}

// served does so with a server.
func served(t *testing.T, test func(t *testing.T, h *harness, sotw bool)) {
	variants(t, func(t *testing.T, sotw bool) { test(t, serve(t, Limits{}), sotw) })
}

// harness is a server behind real gRPC, and what it said.
type harness struct {
	*Server
	t    testing.TB
	ctx  context.Context
	conn *grpc.ClientConn
}

// deltaStream and sotwStream are streams on which a test says what it likes.
func (h *harness) deltaStream(t *testing.T) discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient {
	t.Helper()
	return opened(t, h, discoveryv3.AggregatedDiscoveryServiceClient.DeltaAggregatedResources)
}

func (h *harness) sotwStream(t *testing.T) discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient {
	t.Helper()
	return opened(t, h, discoveryv3.AggregatedDiscoveryServiceClient.StreamAggregatedResources)
}

func opened[S any](t *testing.T, h *harness, open func(discoveryv3.AggregatedDiscoveryServiceClient, context.Context, ...grpc.CallOption) (S, error)) S {
	t.Helper()
	stream, err := open(discoveryv3.NewAggregatedDiscoveryServiceClient(h.conn), h.ctx, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func serve(t testing.TB, limits Limits) *harness {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	s := NewServer(slog.New(slog.DiscardHandler), limits)
	g := grpc.NewServer(s.Options()...)
	s.drain = 0 // but where a test is about that
	s.Register(g)
	listener := bufconn.Listen(1 << 20)
	done := make(chan error, 1)
	go func() { done <- g.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:xds",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		g.Stop()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return &harness{Server: s, t: t, ctx: ctx, conn: conn}
}

// proxy makes a simulated proxy of this test that asks for the filter "auth", and for more filters by name.
func (h *harness) proxy(id string, sotw bool, judge func(xdstest.Response) error, more ...string) *xdstest.Proxy {
	h.t.Helper()
	p := xdstest.New(xdstest.Config{
		Node: xdstest.Node(id, "edge", nil), SotW: sotw, Judge: judge,
		Names: map[string][]string{resource.ExtensionConfigType: append([]string{"auth"}, more...)},
	})
	h.t.Cleanup(p.Close)
	return p
}

func (h *harness) connect(p *xdstest.Proxy) {
	h.t.Helper()
	if err := p.Connect(h.ctx, h.conn); err != nil {
		h.t.Fatal(err)
	}
}

// next waits for the next event.
func (h *harness) next() Event {
	h.t.Helper()
	select {
	case <-h.Ready():
	case <-h.ctx.Done():
		h.t.Fatal("no event came")
	}
	events := h.Events()
	for _, later := range events[1:] {
		h.events.put(later)
	}
	return events[0]
}

// expect waits for one event of a kind and returns it.
func (h *harness) expect(kind EventKind, node string) Event {
	h.t.Helper()
	e := h.next()
	if e.Kind != kind || e.Node.GetId() != node {
		h.t.Fatalf("event %+v, want kind %d of %s", e, kind, node)
	}
	return e
}

// Assign gives a proxy a snapshot that is good, of the fleet that it is of.
func (h *harness) Assign(id string, target *snapshot.Snapshot) {
	h.Server.Assign(id, Target{Snapshot: target, Fleet: "edge", Home: "edge", Confirmed: true})
}

// start connects a proxy and brings it to a snapshot.
func (h *harness) start(p *xdstest.Proxy, id string, target *snapshot.Snapshot) {
	h.t.Helper()
	h.connect(p)
	h.expect(Connected, id)
	h.Assign(id, target)
	if e := h.expect(Served, id); e.Revision != target.Pair {
		h.t.Fatalf("served %s, want %s", e.Revision, target.ID)
	}
}

// full waits until a proxy's stream ends, for the server has too many.
func (h *harness) full(p *xdstest.Proxy) {
	h.t.Helper()
	if err := p.Wait(h.ctx, func() bool { return p.Err() != nil }); err != nil {
		h.t.Fatal(err)
	}
	if status.Code(p.Err()) != codes.ResourceExhausted {
		h.t.Errorf("its stream ended with %v", p.Err())
	}
}

// clusters checks the names of the clusters that a proxy has.
func (h *harness) clusters(p *xdstest.Proxy, want ...string) {
	h.t.Helper()
	if has := slices.Sorted(maps.Keys(p.Has(resource.ClusterType))); !slices.Equal(has, want) {
		h.t.Errorf("the proxy has the clusters %q, want %q", has, want)
	}
}

// serving is a server with a proxy that serves a snapshot.
func serving(t *testing.T, id string, sotw bool, target *snapshot.Snapshot) (*harness, *xdstest.Proxy) {
	t.Helper()
	h := serve(t, Limits{})
	p := h.proxy(id, sotw, nil)
	h.start(p, id, target)
	return h, p
}

// sent lists what a proxy was sent from the nth response on: "Cluster a b -c".
func sent(p *xdstest.Proxy, from int) []string {
	var out []string
	for _, r := range p.Responses()[from:] {
		var names []string
		for name := range r.Resources {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range r.Removed {
			names = append(names, "-"+name)
		}
		out = append(out, r.TypeURL[strings.LastIndex(r.TypeURL, ".")+1:]+" "+strings.Join(names, " "))
	}
	return out
}

func check(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

//nolint:staticcheck // Envoy's own words
var errBad = errors.New("Unable to create Wasm plugin auth")

var errBusy = errors.New("Error adding/updating listener(s) ingress: cannot bind '0.0.0.0:80': Address already in use")

// ingress is a listener of a fleet file as far as its network filter.
const ingress = `
resources:
  listeners:
    - name: ingress
      address: {socket_address: {address: 0.0.0.0, port_value: 80}}
      filter_chains:
        - filters:`

const fleetYAML = `
fleet: edge
filters:
  - name: auth
    module: {file: auth.wasm}
    listeners: [ingress]` + ingress + `
            - name: hcm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ingress
                route_config:
                  virtual_hosts:
                    - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: %s}}]}
                http_filters:
                  - name: router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
    - {name: %s, connect_timeout: 1s, type: STATIC, load_assignment: {cluster_name: %s}}
`

// build makes a snapshot of one listener with the filter "auth" in front of a cluster.
func build(t *testing.T, cluster, moduleText string) *snapshot.Snapshot {
	t.Helper()
	return buildOf(t, fmt.Sprintf(fleetYAML, cluster, cluster, cluster), moduleText)
}

func buildOf(t *testing.T, text, moduleText string) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshotOf(text, moduleText)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func snapshotOf(text, moduleText string) (*snapshot.Snapshot, error) {
	return rig.Snapshot("fleet.yaml", []byte(text), map[string][]byte{"auth.wasm": []byte(moduleText)})
}
