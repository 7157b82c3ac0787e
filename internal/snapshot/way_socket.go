package snapshot

import (
	"slices"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	rawv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	tapv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tap/v3"
	tcpstatsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tcp_stats/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A filter chain that speaks TLS is asked by TLS, and a listener that wants the PROXY protocol
// is told by it, in version 2, that the connection is the proxy's own (LOCAL).
// https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt

// innermost is the transport socket of a filter chain without those that only look at it.
func innermost(chain *listenerv3.FilterChain) proto.Message {
	socket := chain.GetTransportSocket()
	for socket != nil {
		switch m := fleet.Content(socket.GetTypedConfig()).(type) {
		case *tapv3.Tap:
			socket = m.GetTransportSocket()
		case *tcpstatsv3.Config:
			socket = m.GetTransportSocket()
		default:
			return m
		}
	}
	return nil
}

func isRaw(chain *listenerv3.FilterChain) bool {
	_, raw := innermost(chain).(*rawv3.RawBuffer)
	return raw || innermost(chain) == nil && chain.GetTransportSocket() == nil
}

// tlsOf is the TLS of a filter chain, nil if it speaks none.
func tlsOf(chain *listenerv3.FilterChain) *tlsv3.DownstreamTlsContext {
	tls, _ := innermost(chain).(*tlsv3.DownstreamTlsContext)
	return tls
}

// socketTo is what connections to a filter chain are made by, nil for plain ones; why says that
// none can be.
func (w *ways) socketTo(chain *listenerv3.FilterChain, c connection, proxied bool) (socket *corev3.TransportSocket, why string) {
	switch tls := tlsOf(chain); {
	case isRaw(chain):
	case tls == nil:
		return nil, "its connections have a transport socket by which a proxy does not ask (" + chain.GetTransportSocket().GetName() + ")"
	case w.wantsCertificate(tls) != "":
		return nil, w.wantsCertificate(tls)
	default:
		var err error
		if socket, err = packSocket("envoy.transport_sockets.tls", upstreamTLS(tls, c)); err != nil {
			return nil, err.Error()
		}
	}
	if !proxied {
		return socket, ""
	}
	if socket == nil {
		raw, err := packSocket("envoy.transport_sockets.raw_buffer", &rawv3.RawBuffer{})
		if err != nil {
			return nil, err.Error()
		}
		socket = raw
	}
	socket, err := packSocket("envoy.transport_sockets.upstream_proxy_protocol", &proxyprotocolv3.ProxyProtocolUpstreamTransport{
		Config: &corev3.ProxyProtocolConfig{Version: corev3.ProxyProtocolConfig_V2}, TransportSocket: socket,
	})
	if err != nil {
		return nil, err.Error()
	}
	return socket, ""
}

// upstreamTLS is the client's side of a listener's TLS. Who the server is does not matter: it is
// the proxy itself.
func upstreamTLS(server *tlsv3.DownstreamTlsContext, c connection) *tlsv3.UpstreamTlsContext {
	params := proto.CloneOf(server.GetCommonTlsContext().GetTlsParams())
	if params == nil {
		params = &tlsv3.TlsParameters{}
	}
	if params.TlsMaximumProtocolVersion == tlsv3.TlsParameters_TLS_AUTO { // 1.2 of a client
		params.TlsMaximumProtocolVersion = tlsv3.TlsParameters_TLSv1_3
	}
	sni := c.sni
	if sni == "" && server.GetRequireSni().GetValue() {
		sni = "waxwing.check"
	}
	return &tlsv3.UpstreamTlsContext{
		Sni:              sni,
		CommonTlsContext: &tlsv3.CommonTlsContext{TlsParams: params, AlpnProtocols: slices.Clone(c.alpn)},
	}
}

func packSocket(name string, m proto.Message) (*corev3.TransportSocket, error) {
	packed, err := packAny(m)
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{Name: name, ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed}}, nil
}
