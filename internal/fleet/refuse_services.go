package fleet

import (
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"

	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	otelv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"
	statsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stats/v3"
	modulesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/dynamic_modules/v3"
	lambdav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	cachev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cache/v3"
	cdnv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cdn_loop/v3"
	thriftv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/thrift_to_metadata/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"go.yaml.in/yaml/v3"
)

// refuseServices reports extensions that are not told what they work with.
func (p *parser) refuseServices(m proto.Message, n *yaml.Node) {
	switch m := m.(type) {
	case *tracev3.OpenTelemetryConfig:
		if count(m.GetGrpcService() != nil, m.GetHttpService() != nil, m.GetExporter() != nil) != 1 {
			p.add(n.Line, "OpenTelemetryConfig: give one of grpc_service, http_service and exporter")
		}
	case *otelv3.OpenTelemetryAccessLogConfig:
		old := m.GetCommonConfig().GetGrpcService() != nil //nolint:staticcheck // deprecated, but Envoy still reads it
		if count(m.GetGrpcService() != nil, m.GetHttpService() != nil, old) != 1 {
			p.add(n.Line, "OpenTelemetryAccessLogConfig: give one of grpc_service and http_service")
		}
	case *statsv3.Config:
		if count(m.GetStatPrefix() != "", m.GetStatsScope() != nil) != 1 { //nolint:staticcheck // deprecated, but Envoy still reads it
			p.add(n.Line, "the stats access log: give one of stat_prefix and stats_scope")
		}
	case *cachev3.CacheConfig:
		if m.GetTypedConfig() == nil && !m.GetDisabled().GetValue() {
			p.add(n.Line, "cache: typed_config says where, or disabled: true that it is off")
		}
	case *thriftv3.ThriftToMetadata:
		if len(m.GetRequestRules())+len(m.GetResponseRules()) == 0 {
			p.add(n.Line, "thrift_to_metadata: give request_rules or response_rules")
		}
	case *modulesv3.DynamicModuleConfig:
		if m.GetName() == "" && m.GetModule() == nil {
			p.add(n.Line, "dynamic_module_config: give one of name and module")
		}
	case interface{ GetConfig() *wasmv3.PluginConfig }: // a filter's, an access log's
		if m.GetConfig().GetVmConfig().GetCode() == nil {
			p.add(lineOf(n, "config", "vm_config"), "Wasm plugin %q has no code (config: {vm_config: {code: …}})", m.GetConfig().GetName())
		}
	case *lambdav3.Config:
		if !arn.MatchString(m.GetArn()) {
			p.add(lineOf(n, "arn"), "arn: %q is not of the form arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME", m.GetArn())
		}
	case *cdnv3.CdnLoopConfig:
		if strings.ContainsAny(m.GetCdnId(), " \t") {
			p.add(lineOf(n, "cdn_id"), "cdn_id: %q is no host and no name: they have no space", m.GetCdnId())
		}
	}
}

// arn is what Envoy looks at of the name of a function.
var arn = regexp.MustCompile(`^arn:[^:]*:[^:]*:[^:]*:[^:]*:[^:]*:.`)

func count(given ...bool) (n int) {
	for _, one := range given {
		if one {
			n++
		}
	}
	return n
}
