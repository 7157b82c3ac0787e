package preflight

import (
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// The properties are Envoy's, with what a filter would see in front of any service: which are
// there at which callback is held against a real Envoy by TestEnvoyProperties. What depends on
// the proxy has one value here, of the right type; its metadata is empty.
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes
// Source: Context::findValue (source/extensions/common/wasm/context.cc) and
// source/extensions/filters/common/expr/context.cc of Envoy.

// Names that the sandbox's proxy has.
const (
	proxyName   = "waxwing-preflight" // node id, cluster, and virtual host
	serviceName = "service"           // the cluster that every route leads to
	serviceAt   = 8080
)

var proxyNode = &corev3.Node{
	Id: proxyName, Cluster: proxyName, UserAgentName: "envoy",
	UserAgentVersionType: &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{
		Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40},
	}},
	Extensions: []*corev3.Extension{{Name: "envoy.filters.http.wasm", Category: "envoy.filters.http"}},
}

func (c *call) getProperty() status {
	path, readable := c.text(0)
	if !readable {
		return invalidMemoryAccess
	}
	value, result := c.property(path)
	if result != ok {
		return result
	}
	return c.give(2, value)
}

// setProperty keeps a value for the time of the request.
func (c *call) setProperty() status {
	path, ok1 := c.text(0)
	value, ok2 := c.text(2)
	s := c.stream()
	switch {
	case !ok1 || !ok2:
		return invalidMemoryAccess
	case s == nil:
		return notFound
	case !c.vm.memory.keep(perEntry+len(path)+len(value), "properties"):
		return internalFailure
	}
	s.properties[path] = value
	return ok
}

// property finds what a path leads to, whose parts end in NUL.
func (c *call) property(path string) ([]byte, status) {
	if path == "" {
		return nil, serializationFailure
	}
	first, rest, more := strings.Cut(strings.TrimSuffix(path, "\x00"), "\x00")
	value := c.attribute(first)
	for more && value != nil { // a path may have a million parts
		var part string
		part, rest, more = strings.Cut(rest, "\x00")
		value = within(value, part)
	}
	return serialize(value)
}

// attribute is what a path begins with.
func (c *call) attribute(name string) any {
	switch name {
	case "xds":
		return group(func(name string) any { return xdsProperty(c.stream(), name) })
	case "plugin_name":
		return c.vm.name
	case "plugin_root_id":
		return c.vm.rootID
	case "plugin_vm_id":
		return c.vm.name
	}
	s := c.stream()
	if s == nil {
		return nil
	}
	if name == "request" {
		return group(func(name string) any { return requestProperty(s, name, c.vm.now()) })
	}
	if make, there := attributes[name]; there {
		return make(s)
	}
	if value, there := s.properties[name]; there {
		return value
	}
	return nil
}

var attributes = map[string]func(*stream) any{
	"response":      func(s *stream) any { return group(func(name string) any { return responseProperty(s, name) }) },
	"connection":    constant(map[string]any{"id": uint64(1), "mtls": false, "requested_server_name": ""}),
	"connection_id": func(*stream) any { return uint64(1) },
	"source":        constant(address("127.0.0.1", 40000)),
	"destination":   constant(address("127.0.0.1", 80)),
	"upstream":      func(s *stream) any { return group(func(name string) any { return upstreamProperty(s, name) }) },
	"metadata":      func(*stream) any { return &corev3.Metadata{} },
	"filter_state": func(s *stream) any {
		return group(func(name string) any {
			if name, ours := strings.CutPrefix(name, "wasm."); ours {
				return s.own(name)
			}
			return nil
		})
	},
	"upstream_filter_state": func(s *stream) any {
		if !s.connected() {
			return nil
		}
		return group(func(string) any { return nil })
	},
}

func constant(values map[string]any) func(*stream) any {
	return func(*stream) any { return group(func(name string) any { return values[name] }) }
}

func address(ip string, port int64) map[string]any {
	return map[string]any{"address": joined(ip, port), "port": port}
}

// own is a property that the module set.
func (s *stream) own(name string) any {
	if value, there := s.properties[name]; there {
		return value
	}
	return nil
}

func xdsProperty(s *stream, name string) any {
	switch {
	case name == "node":
		return proxyNode
	case s == nil:
		return nil
	case name == "upstream_host_metadata" && s.hosted():
		return unserializable{} // a host without metadata
	}
	return map[string]any{
		"cluster_name": serviceName, "cluster_metadata": &corev3.Metadata{},
		"route_name": "", "route_metadata": &corev3.Metadata{},
		"virtual_host_name": proxyName, "virtual_host_metadata": &corev3.Metadata{},
		"filter_chain_name": "", "listener_metadata": &corev3.Metadata{}, "listener_direction": int64(0),
	}[name]
}

// requestHeaders are those that the filter has at hand, or the access log; nil for none.
func (s *stream) requestHeaders() headers {
	if s.request.headersOpen || s.logging {
		return s.request.headers
	}
	return nil
}

func (s *stream) responseHeaders() headers {
	if s.response.headersOpen || s.logging {
		return s.response.headers
	}
	return nil
}

func (s *stream) responseTrailers() headers {
	if s.response.trailersOpen || s.logging {
		return s.response.trailers
	}
	return nil
}

// pseudo are the attributes of a request that are a header.
var pseudo = map[string]string{
	"path": ":path", "host": ":authority", "scheme": ":scheme", "method": ":method",
	"referer": "referer", "id": "x-request-id", "useragent": "user-agent",
}

func requestProperty(s *stream, name string, now time.Time) any {
	h := s.requestHeaders()
	switch name {
	case "headers":
		return h
	case "time":
		return s.began.UnixNano()
	case "duration":
		if s.ended {
			return now.Sub(s.began).Nanoseconds()
		}
		return nil
	case "protocol":
		return "HTTP/1.1"
	case "size":
		return contentLength(h, int64(s.request.passed))
	case "total_size":
		return int64(s.request.passed + h.bytes())
	case "url_path", "query":
		return pathProperty(h, name)
	}
	if header, there := pseudo[name]; there {
		return within(h, header)
	}
	return nil
}

func pathProperty(h headers, name string) any {
	if h == nil {
		return nil
	}
	whole, _ := h.get(":path")
	path, query, _ := strings.Cut(whole, "?")
	if name == "url_path" {
		return path
	}
	query, _, _ = strings.Cut(query, "#")
	return query
}

func responseProperty(s *stream, name string) any {
	switch name {
	case "code":
		return known(s.code, s.code > 0)
	case "code_details":
		return known(s.from.details, s.from.details != "")
	case "flags":
		return s.from.flag
	case "grpc_status":
		return s.grpcStatus()
	case "headers":
		return s.responseHeaders()
	case "trailers":
		return s.responseTrailers()
	case "size":
		return int64(s.response.passed)
	case "total_size":
		return int64(s.response.passed + s.responseHeaders().bytes() + s.responseTrailers().bytes())
	case "backend_latency":
		return known(time.Millisecond.Nanoseconds(), s.served && s.connected())
	}
	return nil
}

// upstreamProperty is one of the host that the router chose. It is there from the response's
// headers on; in Envoy a little sooner, where a connection is at hand.
func upstreamProperty(s *stream, name string) any {
	switch {
	case name == "request_attempt_count" && s.forwarded:
		return uint64(1)
	case name == "request_attempt_count":
		return uint64(0)
	case !s.hosted() || name == "local_address" && !s.connected():
		return nil
	}
	return map[string]any{
		"address": joined("127.0.0.1", serviceAt), "port": int64(serviceAt), "local_address": joined("127.0.0.1", 40001),
		"locality": &corev3.Locality{}, "transport_failure_reason": s.from.failure,
		"cx_pool_ready_duration": time.Millisecond.Nanoseconds(),
	}[name]
}
