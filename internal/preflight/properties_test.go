package preflight

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// askedProperties are all of Envoy's attributes, what filters ask for besides, and names that
// are none. https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes
func askedProperties() []string {
	certificate := strings.Fields(`tls_version subject_local_certificate subject_peer_certificate dns_san_local_certificate
		dns_san_peer_certificate uri_san_local_certificate uri_san_peer_certificate sha256_peer_certificate_digest`)
	out := strings.Fields(`plugin_name plugin_root_id plugin_vm_id connection_id node cluster_name cluster_metadata
		listener_direction listener_metadata route_name route_metadata upstream_host_metadata node.id node.cluster
		node.metadata xds.node.id xds.node.cluster xds.node.metadata xds.node.locality xds.node.locality.zone
		xds.node.user_agent_name xds.node.extensions.0 xds.node.none
		metadata metadata.filter_metadata metadata.filter_metadata.mine metadata.typed_filter_metadata
		filter_state filter_state.mine filter_state.wasm\.mine mine wasm.mine upstream_filter_state upstream_filter_state.mine
		xds.route_metadata.filter_metadata xds.route_metadata.filter_metadata.mine xds.route_metadata.filter_metadata.mine.k
		xds.cluster_metadata.filter_metadata xds.none none request.none response.none connection.none
		upstream.none source.none destination.none source.address.none plugin_name.none`)
	for group, names := range map[string]string{
		"":          "request response connection source destination upstream xds",
		"request.":  "path url_path host scheme method headers headers.user-agent headers.:path headers.Host headers.none headers.twice trailers referer useragent time id protocol query duration size total_size",
		"response.": "code code_details flags grpc_status headers headers.:status headers.content-type headers.none trailers trailers.x-trailer trailers.none size total_size backend_latency",
		"source.":   "address port", "destination.": "address port",
		"connection.": "id mtls requested_server_name termination_details transport_failure_reason",
		"upstream.":   "address port local_address transport_failure_reason request_attempt_count cx_pool_ready_duration locality locality.zone",
		"xds.": `node cluster_name cluster_metadata route_name route_metadata virtual_host_name virtual_host_metadata
			upstream_host_metadata filter_chain_name listener_metadata listener_direction`,
	} {
		for _, name := range strings.Fields(names) {
			out = append(out, group+name)
		}
		if group == "connection." || group == "upstream." {
			for _, name := range certificate {
				out = append(out, group+name)
			}
		}
	}
	slices.Sort(out)
	return out
}

func pathOf(property string) string {
	return strings.ReplaceAll(strings.ReplaceAll(property, ".", "\x00"), "\\\x00", ".")
}

// probe is the filter that asks for them.
func probe(t *testing.T, name string, properties []string) Plugin {
	t.Helper()
	text, err := os.ReadFile("testdata/probe.wat")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, p := range properties {
		path := pathOf(p)
		for _, b := range append([]byte{byte(len(path)), 0, 0, 0}, path...) {
			fmt.Fprintf(&table, "\\%02x", b)
		}
	}
	end := bytes.LastIndexByte(text, ')')
	code, err := rig.Assemble(string(text[:end]) + "(data (i32.const 65536) \"" + table.String() + "\"))")
	if err != nil {
		t.Fatal(err)
	}
	packed, err := anypb.New(wrapperspb.String("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return Plugin{Name: name, Module: module.New(code), Config: &wasmv3.PluginConfig{
		Configuration: packed, RootId: "root", Vm: &wasmv3.PluginConfig_VmConfig{VmConfig: &wasmv3.VmConfig{}},
	}}
}

// answerOf is what a filter got for a property.
type answerOf struct {
	status status
	length int
	value  string // its first bytes
}

func (a *answerOf) String() string {
	if a == nil {
		return "it is not called"
	}
	if a.status != ok {
		return fmt.Sprintf("status %d", a.status)
	}
	return fmt.Sprintf("%d bytes %.60q", a.length, a.value)
}

// moment is a callback, by its letter in probe.wat, and a property.
type moment struct{ callback, property string }

// callbackNames are the letters of probe.wat.
var callbackNames = map[string]string{
	"a": "root context", "b": "vm_start", "c": "configure", "d": "tick", "e": "context_create", "f": "request_headers",
	"g": "request_body", "H": "the end of request_body", "h": "request_trailers", "i": "response_headers",
	"j": "response_body", "J": "the end of response_body", "k": "response_trailers", "l": "http_call_response",
	"m": "http_call_response, in the stream's context", "n": "log", "o": "done", "p": "delete",
}

// varies are values that are one proxy's, or one moment's. What they are is compared, and
// not how much: a number is 8 bytes.
var varies = regexp.MustCompile(`^(source|destination|upstream)\.(address|port)|^connection(_|\.)id|^xds\.(node|cluster_name)|` +
	`\.(time|duration|id|local_address|cx_pool_ready_duration|backend_latency)$`)

// aHost are attributes of the host that the request goes to. It is known from the request's
// headers on where a connection to it is idle, and from the response on in any case: the
// sandbox has a new connection.
var aHost = regexp.MustCompile(`^upstream\.(address|port|local_address|locality.*|transport_failure_reason|cx_pool_ready_duration)$|` +
	`^upstream_filter_state$|^xds\.upstream_host_metadata$`)

// alike reports whether an answer of the sandbox is that of Envoy.
func (m moment) alike(there, here *answerOf) bool {
	switch {
	case there == nil || here == nil:
		return there == here
	case aHost.MatchString(m.property) && m.ofRequestBody():
		return here.status == notFound
	case there.status != here.status:
		return false
	case m.property == "request.headers" || m.property == "response.headers":
		return near(there.length, here.length) && slices.Equal(namesOf(there), namesOf(here))
	case m.property == "response.total_size":
		return near(there.number(), here.number())
	case varies.MatchString(m.property):
		return (there.length == 8) == (here.length == 8)
	}
	return *there == *here
}

func (m moment) ofRequestBody() bool {
	return m.callback == "g" || m.callback == "H" || m.callback == "h"
}

// near allows for the digits of x-envoy-upstream-service-time.
func near(there, here int) bool { return here <= there && there <= here+len("9999") }

func (a *answerOf) number() int {
	if len(a.value) != 8 {
		return -1
	}
	return int(binary.LittleEndian.Uint64([]byte(a.value)))
}

// namesOf lists the headers in an answer: a map has no order.
func namesOf(a *answerOf) []string {
	var out []string
	for _, f := range unmarshal([]byte(a.value)) {
		out = append(out, f.name)
	}
	slices.Sort(out)
	return out
}

var probed = regexp.MustCompile(`^([a-zA-Z]) ([0-9a-f]{4}) ([0-9a-f]{2}) ([0-9a-f]{8}) ([0-9a-f]*)$`)

// record reads what the probe logs.
func record(into map[moment]*answerOf, properties []string, line string) {
	m := probed.FindStringSubmatch(line)
	if m == nil {
		return
	}
	n, _ := strconv.ParseUint(m[2], 16, 32)
	code, _ := strconv.ParseUint(m[3], 16, 32)
	length, _ := strconv.ParseUint(m[4], 16, 32)
	value, _ := hex.DecodeString(m[5])
	into[moment{m[1], properties[n]}] = &answerOf{status(code), int(length), string(value)}
}
