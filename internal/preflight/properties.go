package preflight

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// getProperty answers what of Envoy's attributes a filter in front of any service
// would see. What depends on the proxy (its metadata, its peers' certificates) is
// not found, as it may be in a proxy.
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes
func (c *call) getProperty() status {
	path, readable := c.text(0)
	if !readable {
		return invalidMemoryAccess
	}
	value, there := c.property(path)
	if !there {
		return notFound
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
	case !c.vm.memory.keep(len(path) + len(value)):
		return internalFailure
	}
	s.properties[path] = value
	return ok
}

func (c *call) property(path string) (value []byte, there bool) {
	parts := strings.Split(strings.TrimSuffix(path, "\x00"), "\x00")
	rest := parts[1:]
	switch parts[0] {
	case "plugin_name":
		return []byte(c.vm.name), true
	case "plugin_root_id":
		return []byte(c.vm.rootID), true
	case "plugin_vm_id":
		return []byte(c.vm.name), true
	case "listener_direction":
		return number(0), true
	case "node":
		text := map[string]string{"id": "waxwing-preflight", "cluster": "waxwing-preflight"}[strings.Join(rest, ".")]
		return []byte(text), text != ""
	}
	s := c.stream()
	if s == nil {
		return nil, false
	}
	switch parts[0] {
	case "request":
		return c.requestProperty(s, rest)
	case "response":
		return responseProperty(s, rest)
	case "source", "destination":
		return addressProperty(parts[0], rest)
	case "connection_id":
		return number(1), true
	case "connection":
		return []byte{0}, strings.Join(rest, ".") == "mtls"
	case "route_name", "cluster_name":
		return nil, true
	}
	text, there := s.properties[path]
	return []byte(text), there
}

func (c *call) requestProperty(s *stream, rest []string) (value []byte, there bool) {
	header := func(name string) ([]byte, bool) {
		text, there := s.request.headers.get(name)
		return []byte(text), there
	}
	switch what := strings.Join(rest, "\x00"); what {
	case "path":
		return header(":path")
	case "url_path", "query":
		path, there := s.request.headers.get(":path")
		path, query, _ := strings.Cut(path, "?")
		if what == "query" {
			return []byte(query), there
		}
		return []byte(path), there
	case "host":
		return header(":authority")
	case "method", "scheme":
		return header(":" + what)
	case "referer":
		return header("referer")
	case "useragent":
		return header("user-agent")
	case "id":
		return header("x-request-id")
	case "protocol":
		return []byte("HTTP/1.1"), true
	case "time":
		return number(c.vm.now().UnixNano()), true
	case "size":
		return number(0), true
	case "total_size":
		return number(int64(s.request.headers.bytes())), true
	case "headers":
		return s.request.headers.marshal(), true
	}
	if len(rest) == 2 && rest[0] == "headers" {
		return header(rest[1])
	}
	return nil, false
}

func responseProperty(s *stream, rest []string) (value []byte, there bool) {
	if s.response.headers == nil {
		return nil, false
	}
	switch strings.Join(rest, "\x00") {
	case "code":
		text, _ := s.response.headers.get(":status")
		code, err := strconv.ParseInt(text, 10, 64)
		return number(code), err == nil
	case "size":
		return number(int64(len(s.response.body))), true
	case "total_size":
		return number(int64(len(s.response.body) + s.response.headers.bytes())), true
	case "flags":
		return number(0), true
	case "headers":
		return s.response.headers.marshal(), true
	}
	if len(rest) == 2 && rest[0] == "headers" {
		text, there := s.response.headers.get(rest[1])
		return []byte(text), there
	}
	return nil, false
}

func addressProperty(side string, rest []string) (value []byte, there bool) {
	port := map[string]int64{"source": 40000, "destination": 80}[side]
	switch strings.Join(rest, ".") {
	case "address":
		return []byte("127.0.0.1:" + strconv.FormatInt(port, 10)), true
	case "port":
		return number(port), true
	}
	return nil, false
}

// number is an integer as Envoy gives it out.
func number(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }
