package fleet

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tapv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/tap/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	decompressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/decompressor/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	tometav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	tagv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ip_tagging/v3"
	limitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	globalv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"
	acceptv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/local_ratelimit/v3"
	proxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	netprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_proc/v3"
	connectv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/local_ratelimit/v3"
	redisv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/redis_proxy/v3"
	thriftv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/thrift_proxy/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"go.yaml.in/yaml/v3"
)

// refuseFilters reports what filters refuse of their own configuration.
func (p *parser) refuseFilters(m proto.Message, n *yaml.Node) {
	p.oldTransport(m.ProtoReflect(), n)
	switch m := m.(type) {
	case *limitv3.LocalRateLimit:
		p.bucket(m.GetTokenBucket(), n, "token_bucket")
		for i, d := range m.GetDescriptors() {
			p.bucket(d.GetTokenBucket(), n, "descriptors", i, "token_bucket")
		}
		p.descriptors(m.GetDescriptors(), n)
		p.ownLimits(m.GetRateLimits(), n, true)
	case *globalv3.RateLimit:
		p.ownLimits(m.GetRateLimits(), n, false)
	case *globalv3.RateLimitPerRoute:
		p.ownLimits(m.GetRateLimits(), n, false)
	case *connectv3.LocalRateLimit:
		p.bucket(m.GetTokenBucket(), n, "token_bucket")
	case *acceptv3.LocalRateLimit:
		p.bucket(m.GetTokenBucket(), n, "token_bucket")
	case *procv3.ExternalProcessor:
		if (m.GetGrpcService() == nil) == (m.GetHttpService() == nil) {
			p.add(n.Line, "ext_proc: give one of grpc_service and http_service")
		}
		p.processing(m, n)
	case *netprocv3.NetworkExternalProcessor:
		p.connectionProcessing(m, n)
	case *redisv3.RedisProxy:
		p.redis(m, n)
	case *thriftv3.ThriftProxy:
		p.thrift(m, n)
	case *tagv3.IPTagging:
		for i, tag := range m.GetIpTags() {
			p.cidrs(orElse(item(child(n, "ip_tags"), i), n), "ip_list", tag.GetIpList())
		}
	case *proxyv3.ProxyProtocol:
		if v := m.GetDisallowedVersions(); slices.Contains(v, corev3.ProxyProtocolConfig_V1) && slices.Contains(v, corev3.ProxyProtocolConfig_V2) {
			p.add(lineOf(n, "disallowed_versions"), "disallowed_versions: no version of the PROXY protocol is left")
		}
	case *tapv3.CommonExtensionConfig:
		p.tap(m, n)
	case *tometav3.Config_Rule:
		p.toMetadata(m, n)
	case *luav3.Lua:
		if m.GetInlineCode() != "" && m.GetDefaultSourceCode() != nil { //nolint:staticcheck // deprecated, but Envoy still reads it
			p.add(lineOf(n, "inline_code"), "lua: give one of inline_code and default_source_code")
		}
	case *healthv3.HealthCheck:
		if !m.GetPassThroughMode().GetValue() && m.GetCacheTime().AsDuration() > 0 {
			p.add(lineOf(n, "cache_time"), "cache_time: nothing is kept where pass_through_mode is off")
		}
	case *compressorv3.Compressor:
		p.library(m.GetCompressorLibrary().GetTypedConfig(), ".compressor.", lineOf(n, "compressor_library"))
	case *decompressorv3.Decompressor:
		p.library(m.GetDecompressorLibrary().GetTypedConfig(), ".decompressor.", lineOf(n, "decompressor_library"))
	}
}

// leastFill is the shortest time in which Envoy fills a bucket.
const leastFill = 50 * time.Millisecond

func (p *parser) bucket(b *typev3.TokenBucket, n *yaml.Node, path ...any) {
	if b != nil && b.GetFillInterval() != nil && b.GetFillInterval().AsDuration() < leastFill {
		p.add(lineOf(n, append(path, "fill_interval")...), "fill_interval: %s is less than %s", b.GetFillInterval().AsDuration(), leastFill)
	}
}

// oldTransport reports a service that is to be asked in version 2 of Envoy's API.
func (p *parser) oldTransport(r protoreflect.Message, n *yaml.Node) {
	fields := r.Descriptor().Fields()
	version, service := fields.ByName("transport_api_version"), fields.ByName("grpc_service")
	if version == nil || version.Enum() == nil || service == nil || !r.Has(service) {
		return
	}
	if corev3.ApiVersion(r.Get(version).Enum()) == corev3.ApiVersion_V2 { //nolint:staticcheck // looked for because it is
		p.add(lineOf(n, "transport_api_version"), "transport_api_version: Envoy speaks version 2 no more: V3")
	}
}

// tap reports what is steered through the admin interface of a proxy. An Envoy that has none
// crashes at it (1.40.0), and whether one has any is not seen from here.
func (p *parser) tap(m *tapv3.CommonExtensionConfig, n *yaml.Node) {
	if m.GetAdminConfig() != nil {
		p.add(lineOf(n, "admin_config"), "tap: an Envoy without an admin interface crashes at admin_config, and whether one has any is not known here: use static_config")
	}
	for i, sink := range m.GetStaticConfig().GetOutputConfig().GetSinks() {
		if sink.GetStreamingAdmin() != nil || sink.GetBufferedAdmin() != nil {
			p.add(lineOf(n, "static_config", "output_config", "sinks", i), "tap: with static_config nothing goes to the admin interface")
		}
	}
}

func (p *parser) toMetadata(m *tometav3.Config_Rule, n *yaml.Node) {
	if m.GetOnHeaderPresent() == nil && m.GetOnHeaderMissing() == nil {
		p.add(n.Line, "header_to_metadata: a rule has on_header_present or on_header_missing")
	}
	for field, value := range map[string]*tometav3.Config_KeyValuePair{"on_header_present": m.GetOnHeaderPresent(), "on_header_missing": m.GetOnHeaderMissing()} {
		if value.GetValue() != "" && value.GetRegexValueRewrite() != nil {
			p.add(lineOf(n, field), "%s: give one of value and regex_value_rewrite", field)
		}
	}
}

// library reports what is known, and for the other direction.
func (p *parser) library(packed *anypb.Any, direction string, line int) {
	const libraries = "envoy.extensions.compression."
	if kind := typeOf(packed); strings.HasPrefix(kind, libraries) && !strings.Contains(kind, direction) {
		p.add(line, "%s is of the wrong direction: %s…%s… belongs here", kind, libraries, strings.TrimPrefix(direction, "."))
	}
}
