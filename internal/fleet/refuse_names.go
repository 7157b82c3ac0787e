package fleet

import (
	"strings"

	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	sessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/stateful_session/v3"
	"go.yaml.in/yaml/v3"
)

// sessionTypes are the ways to keep a session, which Envoy still finds by their names.
// (Envoy: getAndCheckFactoryByName in source/extensions/filters/http/stateful_session.)
var sessionTypes = map[string]string{
	"envoy.http.stateful_session.cookie":   "envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState",
	"envoy.http.stateful_session.envelope": "envoy.extensions.http.stateful_session.envelope.v3.EnvelopeSessionState",
	"envoy.http.stateful_session.header":   "envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState",
}

// session reports a name that is not that of the type. What is of neither may be of an
// extension that another build has.
func (p *parser) session(m *sessionv3.StatefulSession, n *yaml.Node) {
	state := m.GetSessionState()
	kind := typeOf(state.GetTypedConfig())
	for name, its := range sessionTypes {
		switch {
		case kind == its && state.GetName() != name:
			p.add(lineOf(n, "session_state", "name"), "session_state: Envoy goes by the name here, and that of %s is %s", kind, name)
		case kind != its && state.GetName() == name && strings.HasPrefix(kind, "envoy."):
			p.add(lineOf(n, "session_state", "typed_config"), "session_state: %s is of type %s", name, its)
		}
	}
}

// stateKeys are the objects that Envoy 1.40 can make of a text, as it lists them when it
// starts (filter_state.object).
var stateKeys = map[string]bool{
	"envoy.ai.llm_protocol.request": true, "envoy.ai.model.request": true, "envoy.bool": true,
	"envoy.filters.listener.original_dst.local_ip": true, "envoy.filters.listener.original_dst.remote_ip": true,
	"envoy.hashable_string": true, "envoy.network.application_protocols": true, "envoy.network.ip": true,
	"envoy.network.network_namespace": true, "envoy.network.transport_socket.http_11_proxy.info": true,
	"envoy.network.transport_socket.original_dst_address": true, "envoy.network.upstream_server_name": true,
	"envoy.network.upstream_subject_alt_names": true, "envoy.ratelimit.hits_addend": true, "envoy.router.debug_config": true,
	"envoy.string": true, "envoy.tcp_proxy.cluster": true, "envoy.tcp_proxy.disable_tunneling": true,
	"envoy.tcp_proxy.per_connection_idle_timeout_ms": true, "envoy.upstream.dynamic_host": true, "envoy.upstream.dynamic_port": true,
}

// stateKey reports an object that Envoy can't make. Other builds may have some of their own,
// but not by names that are Envoy's.
func (p *parser) stateKey(m *statev3.FilterStateValue, n *yaml.Node) {
	field, key := "object_key", m.GetObjectKey()
	if m.GetFactoryKey() != "" {
		field, key = "factory_key", m.GetFactoryKey()
	}
	if strings.HasPrefix(key, "envoy.") && !stateKeys[key] {
		p.add(lineOf(n, field), "%s: Envoy has no object %q: for a name of your own give it a factory_key, like envoy.string", field, key)
	}
}
