package bootstrap

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"encoding/json"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// parse reads a bootstrap as Envoy would.
func parse(t *testing.T, o Options) *bootstrapv3.Bootstrap {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, o); err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(b.String()), &tree); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	var parsed bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(text, &parsed); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	if err := parsed.ValidateAll(); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	return &parsed
}

func TestWrite(t *testing.T) {
	b := parse(t, Options{
		NodeID: "edge-1", Cluster: `edge "quoted"`, Region: "eu", Zone: "eu-1", Server: "xds.internal:17000", Admin: "127.0.0.1:9901",
		Labels: map[string]string{"track": "canary", "a:b": "yes"}, Listen: map[string]string{"ingress": "0.0.0.0:18001"},
	})
	node := b.GetNode()
	labels := node.GetMetadata().GetFields()["labels"].GetStructValue().GetFields()
	if node.GetId() != "edge-1" || node.GetCluster() != `edge "quoted"` || node.GetLocality().GetZone() != "eu-1" ||
		labels["track"].GetStringValue() != "canary" || labels["a:b"].GetStringValue() != "yes" {
		t.Errorf("node %v", node)
	}
	ads := b.GetDynamicResources().GetAdsConfig()
	if ads.GetApiType() != corev3.ApiConfigSource_DELTA_GRPC {
		t.Errorf("the default variant is %v, not delta", ads.GetApiType())
	}
	var options httpv3.HttpProtocolOptions
	for _, packed := range b.GetStaticResources().GetClusters()[0].GetTypedExtensionProtocolOptions() {
		if err := packed.UnmarshalTo(&options); err != nil {
			t.Fatal(err)
		}
	}
	keepalive := options.GetExplicitHttpConfig().GetHttp2ProtocolOptions().GetConnectionKeepalive()
	if sum := keepalive.GetInterval().AsDuration() + keepalive.GetTimeout().AsDuration(); sum <= 0 || sum.Seconds() > 5 {
		t.Errorf("a server that is gone is noticed within %v, want 5 s", sum)
	}
	sotw := parse(t, Options{Cluster: "edge", Server: "a:1", Admin: "b:2", SotW: true})
	if got := sotw.GetDynamicResources().GetAdsConfig().GetApiType(); got != corev3.ApiConfigSource_GRPC {
		t.Errorf("state-of-the-world is %v", got)
	}
}

// The server must know what to expect, and Envoy must have what it says that it gives.
func TestEvidence(t *testing.T) {
	b := parse(t, Options{Cluster: "edge", Server: "a:1", Admin: "b:2"})
	health, metrics := fleet.EvidenceOf(b.GetNode())
	if !health || !metrics {
		t.Errorf("the node says health %v, metrics %v", health, metrics)
	}
	if got := b.GetHdsConfig().GetGrpcServices()[0].GetEnvoyGrpc().GetClusterName(); got != fleet.ServerCluster {
		t.Errorf("health discovery is served by %q", got)
	}
	var sink metricsv3.MetricsServiceConfig
	if err := b.GetStatsSinks()[0].GetTypedConfig().UnmarshalTo(&sink); err != nil {
		t.Fatal(err)
	}
	if sink.GetGrpcService().GetEnvoyGrpc().GetClusterName() != fleet.ServerCluster || !sink.GetReportCountersAsDeltas().GetValue() || sink.GetEmitTagsAsLabels() {
		t.Errorf("the sink is %v", &sink)
	}
	b = parse(t, Options{Cluster: "edge", Server: "a:1", Admin: "b:2", NoEvidence: true})
	health, metrics = fleet.EvidenceOf(b.GetNode())
	if health || metrics || b.GetHdsConfig() != nil || len(b.GetStatsSinks()) > 0 || b.GetNode().GetMetadata() != nil {
		t.Errorf("without evidence the bootstrap is %v", b)
	}
}

func TestWriteRefuses(t *testing.T) {
	for want, o := range map[string]Options{
		"server address":      {Server: "nowhere", Admin: "a:1"},
		"not HOST:PORT":       {Server: "a:http", Admin: "a:1"},
		"admin address":       {Server: "a:1", Admin: ""},
		`listener "ingress":`: {Server: "a:1", Admin: "a:1", Listen: map[string]string{"ingress": "x"}},
	} {
		err := Write(&strings.Builder{}, o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	for _, word := range []string{"x", "=y"} {
		if _, err := ParseLabels([]string{word}); err == nil {
			t.Errorf("label %q is accepted", word)
		}
	}
}

// With TLS the server is reached by it, with certificates that are taken anew, and has to be
// who it is said to be.
func TestTLS(t *testing.T) {
	for _, c := range []struct {
		server, name, sni string
		kind              tlsv3.SubjectAltNameMatcher_SanType
		want              string
	}{
		{"xds.internal:17000", "", "xds.internal", tlsv3.SubjectAltNameMatcher_DNS, "xds.internal"},
		{"10.0.0.1:17000", "", "", tlsv3.SubjectAltNameMatcher_IP_ADDRESS, "10.0.0.1"},
		{"10.0.0.1:17000", "xds.internal", "xds.internal", tlsv3.SubjectAltNameMatcher_DNS, "xds.internal"},
	} {
		b := parse(t, Options{Cluster: "edge", Server: c.server, Admin: "b:2", TLS: "/etc/xds", TLSServerName: c.name})
		var up tlsv3.UpstreamTlsContext
		if err := b.GetStaticResources().GetClusters()[0].GetTransportSocket().GetTypedConfig().UnmarshalTo(&up); err != nil {
			t.Fatal(err)
		}
		san := up.GetCommonTlsContext().GetCombinedValidationContext().GetDefaultValidationContext().GetMatchTypedSubjectAltNames()
		if up.GetSni() != c.sni || len(san) != 1 || san[0].GetSanType() != c.kind || san[0].GetMatcher().GetExact() != c.want {
			t.Errorf("%s, %q: SNI %q, names %v", c.server, c.name, up.GetSni(), san)
		}
		source := up.GetCommonTlsContext().GetTlsCertificateSdsSecretConfigs()[0].GetSdsConfig().GetPathConfigSource()
		if source.GetPath() != "/etc/xds/certificate.yaml" || source.GetWatchedDirectory().GetPath() != "/etc/xds" {
			t.Errorf("the certificate comes from %v", source)
		}
	}
	if plain := parse(t, Options{Cluster: "edge", Server: "a:1", Admin: "b:2"}); plain.GetStaticResources().GetClusters()[0].GetTransportSocket() != nil {
		t.Error("there is TLS unasked")
	}
}

// The files of the folder are answers of SDS, with the names that the bootstrap asks for.
func TestSecretFiles(t *testing.T) {
	for _, name := range SecretFiles {
		var tree map[string]any
		if err := yaml.Unmarshal(Secret(name, "/etc/x ds"), &tree); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		var answer discoveryv3.DiscoveryResponse
		if err := protojson.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%s: %v in\n%s", name, err, text)
		}
		var secret tlsv3.Secret
		if err := answer.GetResources()[0].UnmarshalTo(&secret); err != nil {
			t.Fatal(err)
		}
		if err := secret.ValidateAll(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if dir := secret.GetTlsCertificate().GetWatchedDirectory().GetPath() + secret.GetValidationContext().GetWatchedDirectory().GetPath(); dir != "/etc/x ds" {
			t.Errorf("%s watches %q", name, dir)
		}
	}
}
