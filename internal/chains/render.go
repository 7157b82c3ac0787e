package chains

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Setting is where the places, services and modules of fleets are.
type Setting struct {
	Port     func(place int) int                 // of 127.0.0.1
	Path     func(place int) string              // of a Unix socket
	Backend  func(service int, tls bool) int     // its port
	Modules  [2]string                           // files
	Content  func(kind SecretKind, turn int) any // of a secret: the fields of Envoy's Secret beside its name; see Keys
	Deadline time.Duration                       // of a stage
}

// Example is a setting for people to read, and for simulated proxies, which open no port.
// The contents of its secrets are no keys.
func Example() Setting {
	return Setting{
		Port: func(place int) int { return 10000 + place },
		Path: func(place int) string { return fmt.Sprintf("@chains/%d", place) },
		Backend: func(service int, tls bool) int {
			if tls {
				return 9100 + service
			}
			return 9000 + service
		},
		Modules: [2]string{"keys-403.wasm", "keys-401.wasm"}, Content: (&Keys{others: make([]string, Turns)}).Content, Deadline: 30 * time.Second,
	}
}

type (
	object = map[string]any
	list   = []any
)

const extensions = "type.googleapis.com/envoy.extensions."

func typed(name, message string, fields object) object {
	content := object{"@type": extensions + message}
	for k, v := range fields {
		content[k] = v
	}
	return object{"name": name, "typed_config": content}
}

// ads is the source of all that is discovered. A new one each time: yaml.Marshal would
// write a shared one as an alias.
func ads() object { return object{"ads": object{}, "resource_api_version": "V3"} }

// FleetName is the name of every fleet that is rendered.
const FleetName = "edge"

// Render writes the fleet file.
func (f *Fleet) Render(s Setting) ([]byte, error) {
	var filters, listeners, clusters, routes, endpoints, secrets list
	for _, filter := range f.Filters {
		filters = append(filters, f.filter(filter, s))
	}
	for _, l := range f.Listeners {
		listeners = append(listeners, f.listener(l, s))
	}
	for _, c := range f.Clusters {
		clusters = append(clusters, f.cluster(c, s))
		if c.Kind == EDS {
			endpoints = append(endpoints, c.assignment(c.endpoints(), s, "127.0.0.1"))
		}
	}
	for _, r := range f.Routes {
		routes = append(routes, f.byService(r, s))
	}
	for _, secret := range f.Secrets {
		out := object{"name": secret.Name}
		for k, v := range s.Content(secret.Kind, secret.Turn).(object) {
			out[k] = v
		}
		secrets = append(secrets, out)
	}
	doc := object{
		"fleet": FleetName, "match": matches(f.Match),
		"resources": object{"listeners": listeners, "clusters": clusters, "routes": routes, "endpoints": endpoints, "secrets": secrets},
	}
	f.more(doc["resources"].(object), s)
	if len(filters) > 0 {
		doc["filters"] = filters
	}
	if f.Rollout.Stages > 0 {
		doc["rollout"] = f.Rollout.render(s)
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("rendering a fleet: %w", err)
	}
	return text, nil
}

// more are resources of the kinds that few fleets have.
func (f *Fleet) more(resources object, s Setting) {
	var extensions, hosts list
	for _, r := range f.Routes {
		if r.Host != "" {
			hosts = append(hosts, f.virtualHost(r, s))
		}
	}
	if len(hosts) > 0 {
		resources["virtual_hosts"] = hosts
	}
	for _, l := range f.Listeners {
		if l.Extension != "" {
			extensions = append(extensions, l.extension())
		}
	}
	for _, c := range f.Clusters {
		if _, own := f.injectorOf(c); own && c.Injects != "" {
			extensions = append(extensions, c.upstreamExtension())
		}
	}
	if len(extensions) > 0 {
		resources["extension_configs"] = extensions
	}
	f.scopes(resources)
	if f.Setting != 0 {
		resources["runtime"] = list{object{"name": "settings", "layer": object{"chains": f.Setting}}}
	}
}

func (r Rollout) render(s Setting) object {
	tenths := func(n int) string { return fmt.Sprintf("%dms", 100*n) }
	var stages list
	for i := range r.Stages - 1 {
		stages = append(stages, object{
			"name": fmt.Sprintf("part%d", i+1), "proxies": i + 1, "bake": tenths(r.Bake), "deadline": s.Deadline.String(),
		})
	}
	last := object{"name": "all", "percent": 100, "bake": tenths(r.Bake), "deadline": s.Deadline.String()}
	if r.Manual {
		last["approve"] = "manual"
	}
	stages = append(stages, last)
	return object{"stages": stages, "prove": tenths(r.Prove)}
}

func (f *Fleet) filter(filter Filter, s Setting) object {
	out := object{
		"name": filter.Name, "module": object{"file": s.Modules[filter.Module]},
		"config": filter.Header() + "=" + fmt.Sprint(filter.Value),
	}
	if !filter.Discovered {
		out["listeners"] = filter.Listeners
	}
	if filter.NoShadow {
		out["shadow"] = false
	}
	if filter.Policy != "" {
		out["failure_policy"] = filter.Policy
	}
	if filter.Checks {
		out["checks"] = list{
			object{"request": object{"headers": f.asked()}, "expect": object{"status": 200}},
			object{"request": object{"headers": without(f.asked(), filter.Header())}, "expect": object{"status": filter.Denies()}},
		}
	}
	return out
}

func without(keys map[string]string, name string) map[string]string {
	delete(keys, name)
	return keys
}

func (f *Fleet) listener(l Listener, s Setting) object {
	out := object{"name": l.Name}
	switch l.Kind {
	case API:
		api := f.network(l, s)["typed_config"]
		out["api_listener"] = object{"api_listener": api}
		return out
	case Internal:
		out["internal_listener"] = object{}
	case Pipe:
		out["address"] = object{"pipe": object{"path": s.Path(l.Port)}}
	case AnyPort:
		out["address"] = socket(0, "TCP")
	case UDP, QUIC:
		out["address"] = socket(s.Port(l.Port), "UDP")
	case Plain, HTTP2, Split, TCP, Unbound:
		out["address"] = socket(s.Port(l.Port), "TCP")
	}
	if l.Also != 0 {
		out["additional_addresses"] = list{object{"address": socket(s.Port(l.Also), "TCP")}}
	}
	if l.Extension == OfSockets {
		out["listener_filters"] = list{l.discovered()}
	}
	if l.Alone {
		out["enable_reuse_port"] = false
	}
	switch l.Kind { //nolint:exhaustive // the others are as they are
	case Unbound:
		out["bind_to_port"] = false
	case UDP:
		out["udp_listener_config"] = object{}
		out["listener_filters"] = list{typed("envoy.filters.udp_listener.udp_proxy", "filters.udp.udp_proxy.v3.UdpProxyConfig", object{
			"stat_prefix": l.Name,
			"matcher":     object{"on_no_match": object{"action": typed("route", "filters.udp.udp_proxy.v3.Route", object{"cluster": l.To})}},
		})}
		return out
	case QUIC:
		out["udp_listener_config"] = object{"quic_options": object{}, "downstream_socket_config": object{"prefer_gro": true}}
	}
	out["filter_chains"] = list{f.chain(l, s)}
	if l.Kind == Split {
		matching := f.chain(l, s)
		matching["filter_chain_match"] = object{"source_prefix_ranges": list{object{"address_prefix": "127.0.0.9", "prefix_len": 32}}}
		out["filter_chains"], out["default_filter_chain"] = list{matching}, f.chain(l, s)
	}
	return out
}

func socket(port int, protocol string) object {
	return object{"socket_address": object{"address": "127.0.0.1", "port_value": port, "protocol": protocol}}
}

// chain is a listener's filter chain.
func (f *Fleet) chain(l Listener, s Setting) object {
	out := object{"filters": list{f.network(l, s)}}
	if l.Extension == OfConnections {
		out["filters"] = list{l.discovered(), f.network(l, s)}
	}
	switch {
	case l.Kind == QUIC:
		tls := typed("envoy.transport_sockets.quic", "transport_sockets.quic.v3.QuicDownstreamTransport", nil)
		tls["typed_config"].(object)["downstream_tls_context"] = l.downstream(s)
		out["transport_socket"] = tls
	case l.TLS:
		out["transport_socket"] = typed("envoy.transport_sockets.tls", "transport_sockets.tls.v3.DownstreamTlsContext", l.downstream(s))
	}
	return out
}

// downstream is a listener's DownstreamTlsContext.
func (l Listener) downstream(s Setting) object {
	common := object{}
	if l.Cert != "" {
		common["tls_certificate_sds_secret_configs"] = list{bySDS(l.Cert)}
	} else {
		common["tls_certificates"] = list{s.Content(Certificate, 0).(object)["tls_certificate"]}
	}
	if l.CA != "" {
		common["validation_context_sds_secret_config"] = bySDS(l.CA)
	}
	if l.Kind == HTTP2 {
		common["alpn_protocols"] = list{"h2"} // or a client begins with HTTP/1
	}
	out := object{"common_tls_context": common}
	if l.Tickets != "" {
		out["session_ticket_keys_sds_secret_config"] = bySDS(l.Tickets)
	}
	return out
}

func bySDS(name string) object { return object{"name": name, "sds_config": ads()} }

// network is the network filter that a listener has.
func (f *Fleet) network(l Listener, s Setting) object {
	if !l.HTTP() && l.Kind != API {
		return typed("envoy.filters.network.tcp_proxy", "filters.network.tcp_proxy.v3.TcpProxy", object{"stat_prefix": l.Name, "cluster": l.To})
	}
	fields := object{"stat_prefix": l.Name, "http_filters": f.httpFilters(l)}
	switch {
	case l.Scoped != "":
		fields["scoped_routes"] = f.scoped(l, s)
	case l.RDS != "":
		fields["rds"] = object{"route_config_name": l.RDS, "config_source": ads()}
	default:
		fields["route_config"] = f.routes("own", l.Route, s)
	}
	switch l.Kind { //nolint:exhaustive // the others are of any
	case HTTP2:
		fields["codec_type"] = "HTTP2"
	case QUIC:
		fields["codec_type"], fields["http3_protocol_options"] = "HTTP3", object{}
	}
	return typed("envoy.filters.network.http_connection_manager", "filters.network.http_connection_manager.v3.HttpConnectionManager", fields)
}

func (f *Fleet) httpFilters(l Listener) list {
	var out list
	for _, filter := range f.FiltersOf(l.Name) {
		if filter.Discovered {
			out = append(out, object{"name": filter.Name, "config_discovery": object{
				"config_source": object{"ads": object{}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
				"type_urls":     list{extensions + "filters.http.wasm.v3.Wasm"},
			}})
		}
	}
	if l.Extension == OfRequests || l.Extension == OfCredentials {
		out = append(out, l.discovered())
	}
	if l.Generic != "" && l.Extension != OfCredentials {
		out = append(out, injector(l.Generic, "x-credential"))
	}
	return append(out, typed("envoy.filters.http.router", "filters.http.router.v3.Router", nil))
}

// MarkHeader of an answer tells which route made it.
const MarkHeader = "x-mark"

// byService are routes that come by RDS, and their virtual host for VHDS, if it is by that.
func (f *Fleet) byService(r Routes, s Setting) object {
	out := f.routes(r.Name, r.Route, s)
	if r.Host != "" {
		delete(out, "virtual_hosts")
		out["vhds"] = object{"config_source": ads()}
	}
	return out
}

// virtualHost is what VHDS has for routes.
func (f *Fleet) virtualHost(r Routes, s Setting) object {
	host := f.routes(r.Name, r.Route, s)["virtual_hosts"].(list)[0].(object)
	host["name"] = r.Name + "/" + r.Host
	return host
}

func (f *Fleet) routes(name string, r Route, s Setting) object {
	route := object{"match": object{"prefix": "/"}, "route": object{"cluster": r.To}}
	if c := f.Cluster(r.To); c != nil {
		// For every kind of cluster, so that one that becomes ORIGINAL_DST, before the
		// route is changed, has it too: Envoy has no way to take both at once.
		to := f.Cluster(f.lowest(r.To))
		route["request_headers_to_add"] = list{header("x-envoy-original-dst-host", fmt.Sprintf("127.0.0.1:%d", s.Backend(to.Backend, to.CA != "")))}
	}
	return object{"name": name, "virtual_hosts": list{object{
		"name": "all", "domains": list{"*"}, "routes": list{route},
		"response_headers_to_add": list{header(MarkHeader, fmt.Sprint(r.Mark))},
	}}}
}

func header(name, value string) object {
	return object{"header": object{"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
}

func (f *Fleet) cluster(c Cluster, s Setting) object {
	out := object{"name": c.Name, "connect_timeout": "1s"}
	switch c.Kind {
	case Aggregate:
		out["lb_policy"] = "CLUSTER_PROVIDED"
		out["cluster_type"] = typed("envoy.clusters.aggregate", "clusters.aggregate.v3.ClusterConfig", object{"clusters": list{c.Of}})
		return out
	case OriginalDst:
		out["type"], out["lb_policy"] = c.Kind, "CLUSTER_PROVIDED"
		out["original_dst_lb_config"] = object{"use_http_header": true}
	case EDS:
		eds := object{"eds_config": ads()}
		if c.Service != "" {
			eds["service_name"] = c.Service
		}
		out["type"], out["eds_cluster_config"] = c.Kind, eds
	case Static:
		out["type"], out["load_assignment"] = c.Kind, c.assignment(c.Name, s, "127.0.0.1")
	case StrictDNS, LogicalDNS:
		out["type"], out["load_assignment"] = c.Kind, c.assignment(c.Name, s, "localhost")
		out["dns_lookup_family"] = "V4_ONLY"
	}
	if c.Injects != "" {
		out["typed_extension_protocol_options"] = f.upstream(c)
	}
	if c.CA != "" {
		out["transport_socket"] = typed("envoy.transport_sockets.tls", "transport_sockets.tls.v3.UpstreamTlsContext", object{
			"common_tls_context": object{"validation_context_sds_secret_config": bySDS(c.CA)},
		})
	}
	return out
}

func (c Cluster) assignment(name string, s Setting, host string) object {
	endpoint := object{"address": object{"socket_address": object{"address": host, "port_value": s.Backend(c.Backend, c.CA != "")}}}
	return object{"cluster_name": name, "endpoints": list{object{"lb_endpoints": list{object{"endpoint": endpoint}}}}}
}

// String is the fleet on a few lines, for people.
func (f Fleet) String() string {
	var b strings.Builder
	lines(&b, "listener", f.Listeners)
	lines(&b, "cluster", f.Clusters)
	lines(&b, "routes", f.Routes)
	lines(&b, "scope", f.Scopes)
	lines(&b, "secret", f.Secrets)
	lines(&b, "filter", f.Filters)
	lines(&b, "rollout", []Rollout{f.Rollout})
	return b.String()
}

func lines[T any](b *strings.Builder, what string, all []T) {
	for _, one := range all {
		fmt.Fprintf(b, "  %s %+v\n", what, one)
	}
}
