package xds

import (
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// withSecret has a cluster that needs a secret, and endpoints.
func withSecret(t *testing.T, cluster, secret string) *snapshot.Snapshot {
	t.Helper()
	text := strings.ReplaceAll(fleetYAML, "%s", cluster)
	head, _, _ := strings.Cut(text, "  clusters:\n")
	return buildOf(t, head+strings.NewReplacer("CLUSTER", cluster, "SECRET", secret).Replace(`  clusters:
    - name: CLUSTER
      connect_timeout: 1s
      type: EDS
      eds_cluster_config: {service_name: SECRET, eds_config: {ads: {}, resource_api_version: V3}}
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context: {validation_context_sds_secret_config: {name: SECRET, sds_config: {ads: {}, resource_api_version: V3}}}
  endpoints: [{cluster_name: SECRET}]
  secrets: [{name: SECRET, validation_context: {trusted_ca: {filename: /ca.pem}}}]
`), "module")
}

// givenUp is a proxy that has been sent the cluster "before", which warms, and is to have "next"
// instead meanwhile: of fleets that a function makes, of a cluster and what that asks for.
func givenUp(t *testing.T, sotw bool, made func(t *testing.T, cluster, asks string) *snapshot.Snapshot) (p *speaker, warms string) {
	t.Helper()
	h := serve(t, Limits{})
	p = h.speaker(sotw)
	p.asks(resource.ClusterType)
	h.expect(Connected, "p")
	h.Assign("p", made(t, "before", "old"))
	warms = p.isSent(resource.ClusterType, "before")
	h.Assign("p", made(t, "next", "new"))
	return p, warms
}

// A target that is given up between clusters and what they wait for leaves no proxy with a
// cluster that waits for what never comes: it gets that, then the next clusters, and then
// what these ask for. It answers no clusters while one warms.
func TestClustersOfAGivenUpTargetGetWhatTheyWaitFor(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		p, warms := givenUp(t, sotw, withSecret)
		p.asks(resource.EndpointType, "old")
		p.answers(resource.EndpointType, p.isSent(resource.EndpointType, "old"), "old")
		p.asks(resource.SecretType, "old@validation_context")
		p.answers(resource.SecretType, p.isSent(resource.SecretType, "old@validation_context"), "old@validation_context")
		p.answers(resource.ClusterType, warms)

		clusters := []string{"next"}
		if sotw {
			clusters = []string{"before", "next"} // the old one may be in use
		}
		warms = p.isSent(resource.ClusterType, clusters...)
		p.asks(resource.SecretType, "old@validation_context", "new@validation_context")
		p.answers(resource.SecretType, p.isSent(resource.SecretType, "new@validation_context"), "old@validation_context", "new@validation_context")
		p.answers(resource.ClusterType, warms)
	})
}

// withFilter has a cluster with a filter by ECDS.
func withFilter(t *testing.T, cluster, filter string) *snapshot.Snapshot {
	t.Helper()
	head, _, _ := strings.Cut(strings.ReplaceAll(fleetYAML, "%s", cluster), "  clusters:\n")
	return buildOf(t, head+strings.NewReplacer("CLUSTER", cluster, "FILTER", filter).Replace(`  clusters:
    - name: CLUSTER
      connect_timeout: 1s
      load_assignment: {cluster_name: CLUSTER}
      filters: [{name: FILTER, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC]}}]
  extension_configs: [{name: FILTER, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC, stat_prefix: x}}]
`), "module")
}

// What clusters wait for is sent while they do, also filters, which else come after them; and no
// other filter. Those of a target that is given up come, too.
func TestClustersGetTheFiltersThatTheyWaitFor(t *testing.T) {
	const suffix = "@network.rbac.v3.RBAC"
	variants(t, func(t *testing.T, sotw bool) {
		p, warms := givenUp(t, sotw, withFilter)
		p.asks(resource.ExtensionConfigType, "auth", "old"+suffix)
		p.answers(resource.ExtensionConfigType, p.isSent(resource.ExtensionConfigType, "old"+suffix), "auth", "old"+suffix)
		p.answers(resource.ClusterType, warms)

		clusters := []string{"next"}
		if sotw {
			clusters = []string{"before", "next"}
		}
		warms = p.isSent(resource.ClusterType, clusters...)
		p.asks(resource.ExtensionConfigType, "auth", "old"+suffix, "new"+suffix)
		p.answers(resource.ExtensionConfigType, p.isSent(resource.ExtensionConfigType, "new"+suffix), "auth", "old"+suffix, "new"+suffix)
		p.answers(resource.ClusterType, warms)
		p.isSent(resource.ExtensionConfigType, "auth")
	})
}

// speaker is a proxy "p" that a test speaks for, by either variant.
type speaker struct {
	h     *harness
	node  *corev3.Node // nil once it was sent
	sotw  discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	delta discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	nonce map[string]string // of the last response of a type that was answered
}

func (h *harness) speaker(sotw bool) *speaker {
	h.t.Helper()
	p := &speaker{h: h, node: xdstest.Node("p", "edge", nil), nonce: map[string]string{}}
	client := discoveryv3.NewAggregatedDiscoveryServiceClient(h.conn)
	var err error
	if sotw {
		p.sotw, err = client.StreamAggregatedResources(h.ctx)
	} else {
		p.delta, err = client.DeltaAggregatedResources(h.ctx)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// asks subscribes to a type, or to more of it.
func (p *speaker) asks(typeURL string, names ...string) { p.send(typeURL, p.nonce[typeURL], names) }

// answers accepts a response; state-of-the-world says again what it asks for.
func (p *speaker) answers(typeURL, nonce string, names ...string) {
	p.nonce[typeURL] = nonce
	if p.sotw == nil {
		names = nil
	}
	p.send(typeURL, nonce, names)
}

func (p *speaker) send(typeURL, nonce string, names []string) {
	p.h.t.Helper()
	var err error
	if p.sotw != nil {
		err = p.sotw.Send(&discoveryv3.DiscoveryRequest{Node: p.node, TypeUrl: typeURL, ResponseNonce: nonce, ResourceNames: names})
	} else {
		err = p.delta.Send(&discoveryv3.DeltaDiscoveryRequest{Node: p.node, TypeUrl: typeURL, ResponseNonce: nonce, ResourceNamesSubscribe: names})
	}
	if p.node = nil; err != nil {
		p.h.t.Fatal(err)
	}
}

// isSent takes the next response, which must be of these resources, and returns its nonce.
func (p *speaker) isSent(typeURL string, names ...string) (nonce string) {
	p.h.t.Helper()
	var url string
	var got []string
	var err error
	if p.sotw != nil {
		var r *discoveryv3.DiscoveryResponse
		r, err = p.sotw.Recv()
		url, nonce = r.GetTypeUrl(), r.GetNonce()
		for _, one := range r.GetResources() {
			m, _ := one.UnmarshalNew()
			if named, ok := m.(interface{ GetName() string }); ok {
				got = append(got, named.GetName())
			} else if of, ok := m.(interface{ GetClusterName() string }); ok {
				got = append(got, of.GetClusterName())
			}
		}
	} else {
		var r *discoveryv3.DeltaDiscoveryResponse
		r, err = p.delta.Recv()
		url, nonce = r.GetTypeUrl(), r.GetNonce()
		for _, one := range r.GetResources() {
			got = append(got, one.GetName())
		}
	}
	if err != nil || url != typeURL || !slices.Equal(got, names) {
		p.h.t.Fatalf("it is sent %s %q (%v), want %s %q", url, got, err, typeURL, names)
	}
	return nonce
}
