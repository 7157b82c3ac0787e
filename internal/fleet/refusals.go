package fleet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"go.yaml.in/yaml/v3"
)

// refuse reports what Envoy refuses of a message beyond the rules that are written into
// its API, as far as it depends on nothing that only a proxy has. Each rule here is held
// against an Envoy by e2e/refusals_test.go: what it takes is not to be refused, but for
// names of capabilities.
func (p *parser) refuse(m proto.Message, n *yaml.Node) {
	p.refuseParts(m, n)
	if c, ok := certificateOf(m); ok && n != nil {
		c.Line = n.Line
		p.fleet.Certificates = append(p.fleet.Certificates, c)
	}
	switch m := m.(type) {
	case *listenerv3.Listener:
		p.listener(m, n)
	case *listenerv3.FilterChain:
		p.networkFilters(m.GetFilters(), n)
	case *listenerv3.FilterChainMatch:
		p.cidrs(n, "prefix_ranges", m.GetPrefixRanges())
		p.cidrs(n, "source_prefix_ranges", m.GetSourcePrefixRanges())
		p.serverNames(m, n)
	case *hcmv3.HttpConnectionManager:
		p.httpFilters(m.GetHttpFilters(), n)
		p.upgrades(m, n)
		p.scopes(m, n)
		p.detection(m, n)
	case *hcmv3.HttpConnectionManager_InternalAddressConfig:
		p.cidrs(n, "cidr_ranges", m.GetCidrRanges())
	case *httpv3.HttpProtocolOptions:
		p.upstreamFilters(m.GetHttpFilters(), n)
	case *routev3.RouteConfiguration:
		p.domains(m, n)
	case *routev3.WeightedCluster:
		p.weights(m, n)
	case *routev3.RouteAction:
		p.rewrites(m, n)
	case *matcherv3.RegexMatcher:
		p.regex(m, n)
	case *rbacv3.Principal:
		p.cidr(n, "direct_remote_ip", m.GetDirectRemoteIp())
		p.cidr(n, "remote_ip", m.GetRemoteIp())
		p.cidr(n, "source_ip", m.GetSourceIp()) //nolint:staticcheck // deprecated, but Envoy still reads it
	case *rbacv3.Permission:
		p.cidr(n, "destination_ip", m.GetDestinationIp())
	case *clusterv3.Cluster:
		p.cluster(m, n)
	case *corev3.BindConfig:
		if len(m.GetExtraSourceAddresses())+len(m.GetAdditionalSourceAddresses()) > 1 { //nolint:staticcheck // deprecated, but Envoy still reads it
			p.add(n.Line, "a cluster binds to one source address, and one more for the other IP version")
		}
	case *corev3.HealthCheck_HttpHealthCheck:
		p.statuses(n, "expected_statuses", m.GetExpectedStatuses())
		p.statuses(n, "retriable_statuses", m.GetRetriableStatuses())
	case *corev3.HeaderValueOption:
		p.changedHeader(m.GetHeader().GetKey(), lineOf(n, "header", "key"))
	case *tlsv3.DownstreamTlsContext:
		p.serverTLS(m, n)
	case *wasmv3.CapabilityRestrictionConfig:
		p.capabilities(m, n)
	case *tlsv3.TlsCertificate:
		p.certificate(m, n)
	case *tlsv3.CertificateValidationContext:
		if ca := inline(m.GetTrustedCa()); ca != nil && blocks(ca, "CERTIFICATE") == 0 {
			p.add(lineOf(n, "trusted_ca"), "trusted_ca holds no certificate in PEM")
		}
	}
	p.removedHeaders(m.ProtoReflect(), n)
}

// refuseParts reports what is refused by subject.
func (p *parser) refuseParts(m proto.Message, n *yaml.Node) {
	p.untyped(m, n)
	p.refuseClusters(m, n)
	p.refuseFormats(m, n)
	p.refuseRoutes(m, n)
	p.refuseHTTP(m, n)
	p.refuseFilters(m, n)
	p.refuseIdentity(m, n)
	p.refuseTLS(m, n)
	p.refuseServices(m, n)
}

// typeOf is the message that a filter's configuration is, in whichever way it is written.
func typeOf(config *anypb.Any) string {
	if content := Content(config); content != nil {
		return string(content.ProtoReflect().Descriptor().FullName())
	}
	return string(config.MessageName())
}

// untyped reports an extension that has a name and no type: Envoy has not gone by names
// since 2022.
func (p *parser) untyped(m proto.Message, n *yaml.Node) {
	r := m.ProtoReflect()
	for i := range r.Descriptor().Fields().Len() {
		switch field := r.Descriptor().Fields().Get(i); {
		case field.IsMap() && r.Has(field) && strings.HasPrefix(string(field.Name()), "typed_") && field.Name() != "typed_filter_metadata":
			p.untypedEntries(r.Get(field).Map(), field, n)
		case field.Name() == "typed_config" && isAny(field) && !field.IsMap():
			if r.Get(field).Message().Interface().(*anypb.Any).GetTypeUrl() == "" && needsType(m, field) {
				p.add(lineOf(n, "typed_config"), "%s has no typed_config, and Envoy does not go by its name", nameIn(r))
			}
		}
	}
}

func (p *parser) untypedEntries(entries protoreflect.Map, field protoreflect.FieldDescriptor, n *yaml.Node) {
	if !isAny(field.MapValue()) {
		return
	}
	entries.Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
		if v.Message().Interface().(*anypb.Any).GetTypeUrl() == "" {
			p.add(lineOf(n, string(field.Name()), key.String()), "%s: %q has no %q, and Envoy does not go by its name", field.Name(), key.String(), typeKey)
		}
		return true
	})
}

func isAny(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil && field.Message().FullName() == "google.protobuf.Any"
}

// needsType says whether a message is an extension that is looked up by its type. One
// that may be missing from a proxy may also be nothing.
func needsType(m proto.Message, field protoreflect.FieldDescriptor) bool {
	switch m := m.(type) {
	case *hcmv3.HttpFilter:
		if m.GetIsOptional() {
			return false
		}
	case *clusterv3.Filter:
		return m.GetConfigDiscovery() == nil
	case *corev3.TypedExtensionConfig:
		return m.GetTypedConfig() != nil // without one it breaks a rule of the API
	}
	oneof := field.ContainingOneof()
	if oneof == nil {
		return false
	}
	other := m.ProtoReflect().WhichOneof(oneof)
	return other == nil || other == field
}

// nameIn is what to call an extension.
func nameIn(r protoreflect.Message) string {
	if field := r.Descriptor().Fields().ByName("name"); field != nil && r.Has(field) {
		return fmt.Sprintf("%q", r.Get(field).String())
	}
	return string(r.Descriptor().Name())
}

// regex reports an expression that does not compile. Go's are RE2's, but for \C.
func (p *parser) regex(m *matcherv3.RegexMatcher, n *yaml.Node) {
	if strings.Contains(m.GetRegex(), `\C`) {
		return
	}
	if _, err := regexp.Compile(m.GetRegex()); err != nil {
		p.add(lineOf(n, "regex"), "regex: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
}

// changedHeader reports a header that no route and no filter may set.
func (p *parser) changedHeader(name string, line int) {
	if strings.HasPrefix(name, ":") || strings.EqualFold(name, "host") {
		p.add(line, "header %q: Envoy does not let headers that begin with a colon, or host, be changed so", name)
	}
}

func (p *parser) removedHeaders(r protoreflect.Message, n *yaml.Node) {
	if r.Descriptor().ParentFile().Package() != "envoy.config.route.v3" {
		return
	}
	for _, name := range []protoreflect.Name{"request_headers_to_remove", "response_headers_to_remove"} {
		field := r.Descriptor().Fields().ByName(name)
		if field == nil || !field.IsList() {
			continue
		}
		for i := range r.Get(field).List().Len() {
			p.changedHeader(r.Get(field).List().Get(i).String(), lineOf(n, string(name), i))
		}
	}
}

// period reports a duration of less than nothing, of which no field of Envoy's takes
// one, where no rule of the API has done so.
func (p *parser) period(d *durationpb.Duration, n *yaml.Node) {
	reported := slices.ContainsFunc(p.list, func(e *Error) bool { return e.Line == n.Line })
	if d.AsDuration() < 0 && !reported {
		p.add(n.Line, "a duration can't be negative")
	}
}
