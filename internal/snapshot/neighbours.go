package snapshot

import (
	"slices"
	"strings"

	matchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A neighbour is an HTTP filter of the listener that is none of the fleet file's. Those that
// decide by the request alone stay in the shadow: what they refuse or add there, they do in
// the real listener too. Those that decide by load, by chance, by who asks or by what another
// service says would make a good filter fail there, and are left out: a check that means one
// thing in the sandbox would mean another on a proxy.
const httpFilters = "envoy.extensions.filters.http."

// LeftOut are the packages of the HTTP filters that are left out of shadow listeners, each
// with the reason. The fleet file can say otherwise: see fleet.Shadow.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/http_filters
var LeftOut = map[string]string{
	"adaptive_concurrency": "it refuses by load",
	"admission_control":    "it refuses by load",
	"bandwidth_limit":      "it delays by load",
	"bandwidth_share":      "it delays by load",
	"local_ratelimit":      "it refuses by load",
	"ratelimit":            "it refuses by load, and asks another service",
	"rate_limit_quota":     "it refuses by load, and asks another service",
	"fault":                "it refuses and delays by chance",
	"kill_request":         "it ends the proxy",
	"ext_authz":            "it asks another service",
	"ext_proc":             "it asks another service",
	"oauth2":               "it asks another service",
	"gcp_authn":            "it asks another service",
	"credential_injector":  "it asks another service",
	"rbac":                 "it decides by who asks",
	"original_src":         "it decides by who asks",
	"tap":                  "it shows requests to others",
	// A shadow's routes have no service, of which these look for one, or answer in its place.
	"aws_lambda":            "it is about the service, and there is none",
	"aws_request_signing":   "it is about the service, and there is none",
	"cache":                 "it is about the service, and there is none",
	"cache_v2":              "it is about the service, and there is none",
	"dynamic_forward_proxy": "it is about the service, and there is none",
	"on_demand":             "it is about the service, and there is none",
	"stateful_session":      "it is about the service, and there is none",
}

// leftOut is why a filter of a listener is none of its shadow, "" where it stays.
func (s *Snapshot) leftOut(f *hcmv3.HttpFilter) string {
	switch name := filterName(f); {
	case slices.Contains(s.Meta.Shadow.Keep, name):
		return ""
	case slices.Contains(s.Meta.Shadow.LeaveOut, name):
		return "the fleet file says so"
	}
	content := s.contentOf(f)
	if jwt, ok := content.(*jwtv3.JwtAuthentication); ok && asksForKeys(jwt) {
		return "it asks another service"
	}
	return LeftOut[packageOf(content)]
}

// packageOf names the type of an HTTP filter of Envoy's: "rbac"; "" for another.
func packageOf(content proto.Message) string {
	if content == nil {
		return ""
	}
	name, ok := strings.CutPrefix(string(content.ProtoReflect().Descriptor().FullName()), httpFilters)
	if !ok {
		return ""
	}
	kind, _, _ := strings.Cut(name, ".")
	return kind
}

// filterName is the name that a filter of a listener has in the fleet file.
func filterName(f interface{ GetName() string }) string { return filterKind.ForPeople(f.GetName()) }

var filterKind = fleet.KindOf(resource.ExtensionConfigType)

// asksForKeys is whether some of the keys that tokens are signed with come from a service.
func asksForKeys(jwt *jwtv3.JwtAuthentication) bool {
	for _, p := range jwt.GetProviders() {
		if p.GetRemoteJwks() != nil {
			return true
		}
	}
	return false
}

// configured is a listener filter, a network filter or an HTTP filter.
type configured interface {
	GetName() string
	GetTypedConfig() *anypb.Any
	GetConfigDiscovery() *corev3.ExtensionConfigSource
}

// contentOf is the configuration of a filter in a listener, wherever that stands: there, behind
// a match, or in a resource of its own. nil where only the proxies know its type.
func (s *Snapshot) contentOf(f configured) proto.Message {
	packed := f.GetTypedConfig()
	if f.GetConfigDiscovery() != nil {
		packed = s.discoveredConfig(f.GetName())
	}
	if packed == nil {
		return nil
	}
	content := fleet.Content(packed)
	if behind, ok := content.(*matchingv3.ExtensionWithMatcher); ok && behind.GetExtensionConfig().GetTypedConfig() != nil {
		return fleet.Content(behind.GetExtensionConfig().GetTypedConfig())
	}
	return content
}

// discoveredConfig is what a filter of extension_configs holds, nil where there is none.
func (s *Snapshot) discoveredConfig(name string) *anypb.Any {
	r := s.Get(resource.ExtensionConfigType, name)
	if r == nil || r.module != "" {
		return nil
	}
	var config corev3.TypedExtensionConfig
	if err := r.Wire.GetResource().UnmarshalTo(&config); err != nil {
		return nil // it was marshalled here
	}
	return config.GetTypedConfig()
}
