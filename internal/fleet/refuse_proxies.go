package fleet

import (
	"fmt"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	descriptorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	netprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_proc/v3"
	redisv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/redis_proxy/v3"
	thriftv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/thrift_proxy/v3"
	"go.yaml.in/yaml/v3"
)

// redis reports a proxy that sends commands nowhere, and prefixes that are given twice.
func (p *parser) redis(m *redisv3.RedisProxy, n *yaml.Node) {
	routes := m.GetPrefixRoutes()
	if routes.GetCatchAllRoute() == nil && len(routes.GetRoutes()) == 0 {
		p.add(n.Line, "redis_proxy: it has no route: give prefix_routes a catch_all_route, or routes")
	}
	seen := map[string]bool{}
	for i, r := range routes.GetRoutes() {
		prefix := r.GetPrefix()
		if routes.GetCaseInsensitive() {
			prefix = strings.ToLower(prefix)
		}
		if seen[prefix] {
			p.add(lineOf(n, "prefix_routes", "routes", i), "redis_proxy: the prefix %q is given twice", r.GetPrefix())
		}
		seen[prefix] = true
	}
}

func (p *parser) thrift(m *thriftv3.ThriftProxy, n *yaml.Node) {
	if m.GetTrds() != nil && m.GetRouteConfig() != nil {
		p.add(lineOf(n, "route_config"), "thrift_proxy: give one of route_config and trds")
	}
}

// descriptors reports two that are of the same requests.
func (p *parser) descriptors(list []*descriptorv3.LocalRateLimitDescriptor, n *yaml.Node) {
	seen := map[string]int{}
	for i, d := range list {
		var key strings.Builder
		for _, e := range d.GetEntries() {
			fmt.Fprintf(&key, "%q=%q ", e.GetKey(), e.GetValue())
		}
		if before, twice := seen[key.String()]; twice {
			p.add(lineOf(n, "descriptors", i), "local_ratelimit: descriptor %d has the entries of descriptor %d", i+1, before+1)
			continue
		}
		seen[key.String()] = i
	}
}

// ownLimits reports what rate limits of a filter's own can't say, which those of routes can.
func (p *parser) ownLimits(list []*routev3.RateLimit, n *yaml.Node, local bool) {
	for i, r := range list {
		if r.GetStage() != nil || r.GetDisableKey() != "" {
			p.add(lineOf(n, "rate_limits", i), "rate_limits: in a filter's own they have no stage and no disable_key")
		}
		if local && r.GetLimit() != nil {
			p.add(lineOf(n, "rate_limits", i, "limit"), "rate_limits: in local_ratelimit's own they have no limit")
		}
	}
}

// processing reports what an external processor can't be sent so.
// (Envoy: verifyProcessingModeConfig in source/extensions/filters/http/ext_proc/config.cc.)
func (p *parser) processing(m *procv3.ExternalProcessor, n *yaml.Node) {
	mode := m.GetProcessingMode()
	duplex := func(body procv3.ProcessingMode_BodySendMode, trailers procv3.ProcessingMode_HeaderSendMode, of string) {
		if body == procv3.ProcessingMode_FULL_DUPLEX_STREAMED && trailers != procv3.ProcessingMode_SEND {
			p.add(lineOf(n, "processing_mode", of+"_body_mode"), "ext_proc: with %s_body_mode: FULL_DUPLEX_STREAMED give %s_trailer_mode: SEND", of, of)
		}
	}
	duplex(mode.GetRequestBodyMode(), mode.GetRequestTrailerMode(), "request")
	duplex(mode.GetResponseBodyMode(), mode.GetResponseTrailerMode(), "response")
	if m.GetHttpService() != nil && (mode.GetRequestBodyMode() != 0 || mode.GetResponseBodyMode() != 0 ||
		mode.GetRequestTrailerMode() == procv3.ProcessingMode_SEND || mode.GetResponseTrailerMode() == procv3.ProcessingMode_SEND) {
		p.add(lineOf(n, "processing_mode"), "ext_proc: an http_service is sent headers only, no body and no trailers")
	}
	if m.GetDisableClearRouteCache() && m.GetRouteCacheAction() != procv3.ExternalProcessor_DEFAULT {
		p.add(lineOf(n, "route_cache_action"), "ext_proc: give one of disable_clear_route_cache and route_cache_action")
	}
}

// connectionProcessing reports a processor of connections that is sent nothing.
func (p *parser) connectionProcessing(m *netprocv3.NetworkExternalProcessor, n *yaml.Node) {
	if m.GetGrpcService() == nil {
		p.add(n.Line, "ext_proc: it has no grpc_service")
	}
	mode := m.GetProcessingMode()
	if mode.GetProcessRead() == netprocv3.ProcessingMode_SKIP && mode.GetProcessWrite() == netprocv3.ProcessingMode_SKIP {
		p.add(lineOf(n, "processing_mode"), "ext_proc: one of process_read and process_write must not be SKIP")
	}
}
