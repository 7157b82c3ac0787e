package fleet

import (
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	quicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/quic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"go.yaml.in/yaml/v3"
)

// quic reports filter chains of a listener that takes QUIC's connections, in which no HTTP/3
// can be spoken. With an address that is not of UDP, Envoy makes nothing of quic_options,
// but that HTTP connection managers must say that they speak HTTP/3.
func (p *parser) quic(l *listenerv3.Listener, n *yaml.Node) {
	if l.GetUdpListenerConfig().GetQuicOptions() == nil {
		return
	}
	if !isUDP(l.GetAddress()) {
		p.quicWithoutUDP(l, n)
		return
	}
	if l.GetConnectionBalanceConfig() != nil {
		p.add(lineOf(n, "connection_balance_config"), "listener %q: with QUIC it can have no connection_balance_config", l.GetName())
	}
	if len(l.GetFilterChains()) == 0 && l.GetDefaultFilterChain() == nil {
		p.add(n.Line, "listener %q has no filter chain", l.GetName())
	}
	for i, chain := range l.GetFilterChains() {
		p.quicChain(l.GetName(), chain, orElse(item(child(n, "filter_chains"), i), n))
	}
	if chain := l.GetDefaultFilterChain(); chain != nil {
		p.quicChain(l.GetName(), chain, orElse(child(n, "default_filter_chain"), n))
	}
}

func (p *parser) quicWithoutUDP(l *listenerv3.Listener, n *yaml.Node) {
	for _, m := range managers(l) {
		if m.GetCodecType() != hcmv3.HttpConnectionManager_HTTP3 {
			p.add(lineOf(n, "udp_listener_config", "quic_options"), "listener %q: quic_options are for HTTP/3 at an address with protocol: UDP, and it speaks other HTTP at one without", l.GetName())
			return
		}
	}
}

const quicSocketType = "envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport"

func (p *parser) quicChain(listener string, chain *listenerv3.FilterChain, n *yaml.Node) {
	packed := chain.GetTransportSocket().GetTypedConfig()
	switch content := Content(packed).(type) {
	case nil:
		if chain.GetTransportSocket() == nil {
			p.add(n.Line, "listener %q: with QUIC a filter chain has a transport_socket of type %s", listener, quicSocketType)
		}
	case *quicv3.QuicDownstreamTransport:
		tls := content.GetDownstreamTlsContext()
		if tls.GetRequireClientCertificate().GetValue() && trustsNobody(tls.GetCommonTlsContext()) {
			p.add(lineOf(n, "transport_socket", "typed_config", "downstream_tls_context", "require_client_certificate"),
				"listener %q: with QUIC, require_client_certificate needs a validation_context with a trusted_ca that has signed them", listener)
		}
	default:
		p.add(lineOf(n, "transport_socket"), "listener %q: with QUIC the transport_socket is of type %s, around its TLS: this is %s", listener, quicSocketType, typeOf(packed))
	}
	p.quicFilters(listener, chain, n)
}

// trustsNobody says that no certificate could be valid, as far as that is not left to a secret.
func trustsNobody(c *tlsv3.CommonTlsContext) bool {
	context := c.GetValidationContext()
	return c.GetValidationContextType() == nil || context != nil && anybodySigns(context)
}

// quicFilters reports a chain at the end of which nobody speaks HTTP/3.
func (p *parser) quicFilters(listener string, chain *listenerv3.FilterChain, n *yaml.Node) {
	filters := chain.GetFilters()
	if len(filters) == 0 || filters[len(filters)-1].GetTypedConfig() == nil {
		return
	}
	last := filters[len(filters)-1].GetTypedConfig()
	at := lineOf(n, "filters", len(filters)-1)
	m, ok := Content(last).(*hcmv3.HttpConnectionManager)
	switch {
	case ok && m.GetCodecType() != hcmv3.HttpConnectionManager_HTTP3:
		p.add(at, "listener %q: with QUIC the HTTP connection manager has codec_type: HTTP3", listener)
	case !ok && Content(last) != nil && !strings.HasSuffix(typeOf(last), "HttpConnectionManager"):
		p.add(at, "listener %q: with QUIC the last filter is an HTTP connection manager, not %s", listener, typeOf(last))
	}
}
