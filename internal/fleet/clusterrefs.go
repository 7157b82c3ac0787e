package fleet

import "google.golang.org/protobuf/reflect/protoreflect"

// clusterFields are the fields of the Envoy API that name a cluster. A test
// holds them against the registry: a field that a newer API adds is found there.
var clusterFields = map[protoreflect.FullName][]protoreflect.Name{
	"envoy.config.core.v3.ApiConfigSource":                                                              {"cluster_names"},
	"envoy.config.core.v3.GrpcService.EnvoyGrpc":                                                        {"cluster_name"},
	"envoy.config.core.v3.HttpUri":                                                                      {"cluster"},
	"envoy.config.route.v3.RouteAction":                                                                 {"cluster"},
	"envoy.config.route.v3.RouteAction.RequestMirrorPolicy":                                             {"cluster"},
	"envoy.config.route.v3.WeightedCluster.ClusterWeight":                                               {"name"},
	"envoy.config.trace.v3.DatadogConfig":                                                               {"collector_cluster"},
	"envoy.config.trace.v3.LightstepConfig":                                                             {"collector_cluster"},
	"envoy.config.trace.v3.ZipkinConfig":                                                                {"collector_cluster"},
	"envoy.extensions.access_loggers.fluentd.v3.FluentdAccessLogConfig":                                 {"cluster"},
	"envoy.extensions.clusters.aggregate.v3.ClusterConfig":                                              {"clusters"},
	"envoy.extensions.clusters.mcp_multicluster.v3.ClusterConfig.McpCluster":                            {"cluster"},
	"envoy.extensions.filters.http.cache_v2.v3.CacheV2Config":                                           {"override_upstream_cluster"},
	"envoy.extensions.filters.http.gcp_authn.v3.GcpAuthnFilterConfig":                                   {"cluster"},
	"envoy.extensions.filters.http.mcp_router.v3.McpRouter.McpCluster":                                  {"cluster"},
	"envoy.extensions.filters.network.dubbo_proxy.v3.RouteAction":                                       {"cluster"},
	"envoy.extensions.filters.network.generic_proxy.action.v3.RouteAction":                              {"cluster"},
	"envoy.extensions.filters.network.redis_proxy.v3.RedisProxy.PrefixRoutes.Route":                     {"cluster"},
	"envoy.extensions.filters.network.redis_proxy.v3.RedisProxy.PrefixRoutes.Route.ReadCommandPolicy":   {"cluster"},
	"envoy.extensions.filters.network.redis_proxy.v3.RedisProxy.PrefixRoutes.Route.RequestMirrorPolicy": {"cluster"},
	"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy":                                            {"cluster"},
	"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight":              {"name"},
	"envoy.extensions.filters.network.thrift_proxy.v3.RouteAction":                                      {"cluster"},
	"envoy.extensions.filters.network.thrift_proxy.v3.RouteAction.RequestMirrorPolicy":                  {"cluster"},
	"envoy.extensions.filters.network.thrift_proxy.v3.WeightedCluster.ClusterWeight":                    {"name"},
	"envoy.extensions.filters.udp.udp_proxy.v3.Route":                                                   {"cluster"},
	"envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig":                                          {"cluster"},
	"envoy.extensions.router.cluster_specifiers.lua.v3.LuaConfig":                                       {"default_cluster"},
	"envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction":                               {"cluster"},
	"envoy.extensions.router.cluster_specifiers.priority_group.v3.ClusterWeight":                        {"cluster_name"},
	"envoy.extensions.tracers.fluentd.v3.FluentdConfig":                                                 {"cluster"},
}
