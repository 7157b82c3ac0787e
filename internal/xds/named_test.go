package xds

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// client is a delta client that a test speaks for.
type client struct {
	h      *harness
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
}

func (h *harness) client(id string) client {
	h.t.Helper()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(h.conn).DeltaAggregatedResources(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node: xdstest.Node(id, "edge", nil), TypeUrl: "type.googleapis.com/none",
	}); err != nil {
		h.t.Fatal(err)
	}
	h.expect(Connected, id)
	return client{h, stream}
}

func (c client) subscribe(typeURL string, names ...string) {
	c.h.t.Helper()
	if err := c.stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: names}); err != nil {
		c.h.t.Fatal(err)
	}
}

// takes accepts the next response, which must be of these resources and these absent ones.
func (c client) takes(typeURL string, names, removed []string) {
	c.h.t.Helper()
	r, err := c.stream.Recv()
	if err != nil {
		c.h.t.Fatal(err)
	}
	var got []string
	for _, one := range r.GetResources() {
		got = append(got, one.GetName())
	}
	if r.GetTypeUrl() != typeURL || !slices.Equal(got, names) || !slices.Equal(r.GetRemovedResources(), removed) {
		c.h.t.Fatalf("%s %q without %q, want %s %q without %q", r.GetTypeUrl(), got, r.GetRemovedResources(), typeURL, names, removed)
	}
	if err := c.stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResponseNonce: r.GetNonce()}); err != nil {
		c.h.t.Fatal(err)
	}
}

// A client that asks by name is on a revision when it has what it asks for; and it is told
// what does not exist.
func TestNamedClient(t *testing.T) {
	h := serve(t, Limits{})
	c := h.client("a")
	h.Assign("a", build(t, "echo", "module 1"))
	c.subscribe(resource.ListenerType, "ingress", "nowhere")
	c.takes(resource.ListenerType, []string{"ingress"}, []string{"nowhere"})
	if e := h.expect(Served, "a"); e.Named != 2 {
		t.Errorf("it asks for %d resources, and not for 2", e.Named)
	}
	h.Assign("a", build(t, "other", "module 2"))
	c.takes(resource.ListenerType, []string{"ingress"}, nil)
	h.expect(Served, "a")
	c.subscribe(resource.ClusterType, "other")
	c.takes(resource.ClusterType, []string{"other"}, nil)

	later := build(t, "other", "module 3") // it has nothing of what differs
	h.Assign("a", later)
	if e := h.expect(Served, "a"); e.Revision != later.Pair {
		t.Errorf("served %s", e.Revision)
	}
}

// An Envoy is waited for until it has asked for all that it will ask for; but for clusters
// where it asks for listeners alone.
func TestEnvoyWithoutClusters(t *testing.T) {
	h := serve(t, Limits{})
	target := build(t, "echo", "module")
	c := h.client("a")
	h.Assign("a", target)
	c.subscribe(resource.ListenerType)
	c.takes(resource.ListenerType, []string{"ingress"}, nil)
	c.subscribe(resource.ExtensionConfigType, "auth")
	c.takes(resource.ExtensionConfigType, []string{"auth"}, nil)
	if e := h.expect(Served, "a"); e.Revision != target.Pair || e.Named != 0 {
		t.Errorf("%+v", e)
	}
}

// A stream for one kind alone is refused with what to write instead.
func TestStreamOfItsOwn(t *testing.T) {
	h := serve(t, Limits{})
	stream, err := listenerservice.NewListenerDiscoveryServiceClient(h.conn).StreamListeners(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = stream.Recv(); status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "write `ads: {}`") {
		t.Errorf("it ended with %v", err)
	}
}

// A secret that a proxy asks for as its users name it, and that does not exist or is gone,
// is denied: once, by delta, and after all else.
func TestSecretOnDemand(t *testing.T) {
	h := serve(t, Limits{})
	c := h.client("a")
	secret := strings.Replace(fleetYAML, "  clusters:\n", "  secrets: [{name: known, tls_certificate: {certificate_chain: {filename: /chain.pem}, private_key: {filename: /key.pem}}}]\n  clusters:\n", 1)
	h.Assign("a", buildOf(t, strings.ReplaceAll(secret, "%s", "echo"), "module"))
	c.subscribe(resource.SecretType, "known", "unknown")
	c.takes(resource.SecretType, []string{"known"}, nil)
	c.subscribe(resource.ListenerType)
	c.takes(resource.ListenerType, []string{"ingress"}, nil)
	c.subscribe(resource.ExtensionConfigType, "auth")
	c.takes(resource.ExtensionConfigType, []string{"auth"}, nil)
	c.takes(resource.SecretType, nil, []string{"unknown"})
	h.expect(Served, "a")
	if got := h.ProxiesOf([]string{"a"})[0].LastACK; got == nil || got.Resource != "Secret unknown (does not exist)" {
		t.Errorf("the last that it took is said to be %+v", got)
	}
	c.subscribe(resource.SecretType, "more")
	c.takes(resource.SecretType, nil, []string{"more"})

	h.Assign("a", build(t, "echo", "another module"))
	c.takes(resource.ExtensionConfigType, []string{"auth"}, nil)
	c.takes(resource.SecretType, nil, []string{"known"})
	h.expect(Served, "a")
	c.subscribe(resource.SecretType, "unknown") // again
	c.takes(resource.SecretType, nil, []string{"unknown"})
}

// What a push is about is said, whatever it brings.
func TestPushesHaveNames(t *testing.T) {
	for want, p := range map[string]*push{
		"Secret -gone":                          {remove: []string{"gone"}, absent: []string{"gone"}},
		"Secret unknown (does not exist)":       {absent: []string{"unknown"}},
		"Secret (none)":                         {},
		"Secret -a, -b, -c, -d, -e, and 2 more": {remove: []string{"a", "b", "c", "d", "e", "f", "g"}},
	} {
		p.url = resource.SecretType
		if got := p.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
