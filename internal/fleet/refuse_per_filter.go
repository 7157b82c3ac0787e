package fleet

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"go.yaml.in/yaml/v3"
)

// withoutRoutes are configurations of HTTP filters that have none for a route, of Envoy 1.40.
// (Envoy: createRouteSpecificFilterConfig of their factories; e2e/testdata/refusals_per_filter.txt has each.)
var withoutRoutes = map[protoreflect.FullName]bool{
	"envoy.extensions.filters.http.a2a.v3.A2a":                                               true,
	"envoy.extensions.filters.http.alternate_protocols_cache.v3.FilterConfig":                true,
	"envoy.extensions.filters.http.body_size_limit.v3.BodySizeLimit":                         true,
	"envoy.extensions.filters.http.cache.v3.CacheConfig":                                     true,
	"envoy.extensions.filters.http.cache_v2.v3.CacheV2Config":                                true,
	"envoy.extensions.filters.http.connect_grpc_bridge.v3.FilterConfig":                      true,
	"envoy.extensions.filters.http.gcp_authn.v3.GcpAuthnFilterConfig":                        true,
	"envoy.extensions.filters.http.grpc_http1_bridge.v3.Config":                              true,
	"envoy.extensions.filters.http.grpc_stats.v3.FilterConfig":                               true,
	"envoy.extensions.filters.http.grpc_web.v3.GrpcWeb":                                      true,
	"envoy.extensions.filters.http.ip_tagging.v3.IPTagging":                                  true,
	"envoy.extensions.filters.http.mcp_router.v3.McpRouter":                                  true,
	"envoy.extensions.filters.http.original_src.v3.OriginalSrc":                              true,
	"envoy.extensions.filters.http.proto_api_scrubber.v3.ProtoApiScrubberConfig":             true,
	"envoy.extensions.filters.http.proto_message_extraction.v3.ProtoMessageExtractionConfig": true,
	"envoy.extensions.filters.http.rate_limit_quota.v3.RateLimitQuotaFilterConfig":           true,
	"envoy.extensions.filters.http.rate_limit_quota.v3.RateLimitQuotaOverride":               true,
	"envoy.extensions.filters.http.router.v3.Router":                                         true,
	"envoy.extensions.filters.http.thrift_to_metadata.v3.ThriftToMetadata":                   true,
	"envoy.extensions.filters.http.wasm.v3.Wasm":                                             true,
}

// perFilter reports what a route says to a filter that takes nothing of the kind.
func (p *parser) perFilter(m proto.Message, n *yaml.Node) {
	all := saidToFilters(m.ProtoReflect())
	if all == nil {
		return
	}
	at := orElse(child(n, perFilterField), n)
	all.Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
		if said, ok := v.Message().Interface().(*anypb.Any); ok {
			p.saidTo(key.String(), said, orElse(child(at, key.String()), at))
		}
		return true
	})
}

func (p *parser) saidTo(filter string, said *anypb.Any, n *yaml.Node) {
	content := Content(said)
	if content == nil {
		return // a type that only the proxies know
	}
	if wrapped, ok := content.(*routev3.FilterConfig); ok {
		if wrapped.GetConfig() != nil && !wrapped.GetDisabled() && !wrapped.GetIsOptional() {
			p.saidTo(filter, wrapped.GetConfig(), orElse(child(n, "config"), n))
		}
		return
	}
	switch name := content.ProtoReflect().Descriptor().FullName(); {
	case withoutRoutes[name]:
		p.add(n.Line, "typed_per_filter_config: %q: a filter of %s has no configuration for a route; only FilterConfig can be said to it, to switch it off", filter, name)
	case strings.HasPrefix(string(name), "google.protobuf."):
		p.add(n.Line, "typed_per_filter_config: %q: %s is the configuration of no filter", filter, name)
	}
}
