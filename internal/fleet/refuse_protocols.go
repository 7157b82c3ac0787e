package fleet

import (
	"bytes"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	rawv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"go.yaml.in/yaml/v3"
)

// httpOptionsKey is where a cluster has what it speaks.
const httpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// httpOptions is what a cluster says about the HTTP that it speaks, or nil.
func httpOptions(c *clusterv3.Cluster) *httpv3.HttpProtocolOptions {
	packed, ok := c.GetTypedExtensionProtocolOptions()[httpOptionsKey]
	if !ok {
		return nil
	}
	options, _ := Content(packed).(*httpv3.HttpProtocolOptions)
	return options
}

// protocols reports protocols that a cluster can't speak as it connects.
func (p *parser) protocols(c *clusterv3.Cluster, n *yaml.Node) {
	for key, packed := range c.GetTypedExtensionProtocolOptions() {
		if typeOf(packed) == httpOptionsKey && key != httpOptionsKey {
			p.add(lineOf(n, "typed_extension_protocol_options", key), "typed_extension_protocol_options: %q is not the key of what is there, which is %s", key, httpOptionsKey)
		}
	}
	options := httpOptions(c)
	//nolint:staticcheck // deprecated, but Envoy still reads them
	if both := c.GetHttpProtocolOptions() != nil && c.GetHttp2ProtocolOptions() != nil; options == nil && both &&
		c.GetProtocolSelection() == clusterv3.Cluster_USE_CONFIGURED_PROTOCOL {
		p.add(lineOf(n, "http_protocol_options"), "cluster %q: give one of http_protocol_options and http2_protocol_options: it speaks the one that is there", c.GetName())
	}
	line := lineOf(n, "typed_extension_protocol_options", httpOptionsKey)
	switch {
	case options.GetAutoConfig() != nil && plain(c):
		p.add(line, "cluster %q: with auto_config the service says in the TLS handshake what it speaks: the cluster needs a transport_socket with TLS", c.GetName())
	case options.GetExplicitHttpConfig().GetHttp3ProtocolOptions() != nil && !overQUIC(c):
		p.add(line, "cluster %q: for HTTP/3 it needs a transport_socket %s, of type QuicUpstreamTransport", c.GetName(), quicSocket)
	}
}

// plain says that a cluster connects without TLS.
func plain(c *clusterv3.Cluster) bool {
	if c.GetTransportSocket() == nil {
		return true
	}
	_, raw := Content(c.GetTransportSocket().GetTypedConfig()).(*rawv3.RawBuffer)
	return raw
}

// quicSocket is the name by which Envoy knows that a cluster connects by QUIC. It looks for
// it in all of the transport socket, so that another may be around it.
// (Envoy: "HTTP3 requires a QuicUpstreamTransport" in source/common/upstream/upstream_impl.cc.)
const quicSocket = "envoy.transport_sockets.quic"

func overQUIC(c *clusterv3.Cluster) bool {
	return bytes.Contains(c.GetTransportSocket().GetTypedConfig().GetValue(), []byte(quicSocket)) ||
		strings.Contains(c.GetTransportSocket().GetName(), quicSocket)
}
