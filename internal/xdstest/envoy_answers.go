package xdstest

import (
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	injectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// A SimRequest is one to a simulated Envoy, of any HTTP version that its listener speaks.
type SimRequest struct {
	TLS     bool
	Headers map[string]string
}

// A SimAnswer is what a simulated Envoy answers.
type SimAnswer struct {
	Failed      string            // why there is none: the connection was refused, or closed
	Status      int               // of HTTP, 0 from a TCP proxy
	Headers     map[string]string // that its routes add
	Endpoint    string            // that the request was sent to, "" for none
	Certificate string            // the chain that it showed, or its file
}

// A simChain is what a connection meets.
type simChain struct {
	tls    *tlsv3.DownstreamTlsContext
	hcm    *hcmv3.HttpConnectionManager
	tcp    *tcpv3.TcpProxy
	failed string
}

// readChain finds the default filter chain, or else the first.
func readChain(l *listenerv3.Listener) (c simChain, err error) {
	chain := l.GetDefaultFilterChain()
	if chain == nil && len(l.GetFilterChains()) > 0 {
		chain = l.GetFilterChains()[0]
	}
	if packed := chain.GetTransportSocket().GetTypedConfig(); packed != nil {
		c.tls = &tlsv3.DownstreamTlsContext{}
		if !packed.MessageIs(c.tls) {
			return simChain{failed: "it speaks no TLS but another protocol"}, nil
		}
		if err := packed.UnmarshalTo(c.tls); err != nil {
			return c, err
		}
	}
	for _, f := range chain.GetFilters() {
		hcm, tcp := &hcmv3.HttpConnectionManager{}, &tcpv3.TcpProxy{}
		switch packed := f.GetTypedConfig(); {
		case packed.MessageIs(hcm):
			c.hcm, err = hcm, packed.UnmarshalTo(hcm)
		case packed.MessageIs(tcp):
			c.tcp, err = tcp, packed.UnmarshalTo(tcp)
		}
	}
	return c, err
}

// Ask sends a request to an address, "HOST:PORT" or "unix:PATH".
func (e *Envoy) Ask(address string, r SimRequest) SimAnswer {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.at(address)
	if l == nil {
		return SimAnswer{Failed: "connection refused"}
	}
	return e.answer(l.chain, r)
}

func (e *Envoy) answer(c simChain, r SimRequest) SimAnswer {
	switch {
	case c.failed != "":
		return SimAnswer{Failed: c.failed}
	case (c.tls != nil) != r.TLS:
		return SimAnswer{Failed: "one side speaks TLS and the other does not"}
	}
	var a SimAnswer
	if c.tls != nil {
		if a.Certificate = e.certificate(c.tls); a.Certificate == "" {
			return SimAnswer{Failed: "it has no certificate"}
		}
	}
	switch {
	case c.tcp != nil:
		if a.Endpoint = e.endpoint(c.tcp.GetCluster(), nil); a.Endpoint == "" {
			return SimAnswer{Failed: "no endpoint in cluster " + c.tcp.GetCluster()}
		}
		return a
	case c.hcm == nil:
		return SimAnswer{Failed: "no filter that takes connections"}
	}
	e.route(&a, c.hcm, r.Headers)
	return a
}

// valueOf is what came of a source, or nil.
func (e *Envoy) valueOf(url, name string, config *corev3.ConfigSource) *anypb.Any {
	key, err := keyOf(url, name, config)
	if err != nil || e.sources[key] == nil {
		return nil
	}
	return e.sources[key].value
}

func (e *Envoy) certificate(tls *tlsv3.DownstreamTlsContext) string {
	common := tls.GetCommonTlsContext()
	if sds := common.GetTlsCertificateSdsSecretConfigs(); len(sds) > 0 {
		var secret tlsv3.Secret
		if v := e.valueOf(resource.SecretType, sds[0].GetName(), sds[0].GetSdsConfig()); v == nil || v.UnmarshalTo(&secret) != nil {
			return ""
		}
		chain := secret.GetTlsCertificate().GetCertificateChain()
		if file := chain.GetFilename(); file != "" {
			return path.Clean(file)
		}
		return chain.GetInlineString()
	}
	if inline := common.GetTlsCertificates(); len(inline) > 0 {
		return inline[0].GetCertificateChain().GetInlineString()
	}
	return ""
}

// route answers a request of HTTP: the filters, then the first route, which is all that
// a test's have.
func (e *Envoy) route(a *SimAnswer, hcm *hcmv3.HttpConnectionManager, headers map[string]string) {
	host, route := firstRoute(e.routesFor(hcm, headers), headers)
	a.Headers = map[string]string{}
	for _, h := range host.GetResponseHeadersToAdd() {
		a.Headers[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
	}
	if a.Status = e.filters(hcm, headers); a.Status != 0 {
		return
	}
	if direct := route.GetDirectResponse(); direct != nil {
		a.Status = int(direct.GetStatus())
		return
	}
	if a.Status = 503; route == nil {
		a.Status = 404
	}
	if a.Endpoint = e.endpoint(route.GetRoute().GetCluster(), route.GetRequestHeadersToAdd()); a.Endpoint != "" {
		a.Status = 200
	}
}

// firstRoute is the first whose headers are there.
func firstRoute(config *routev3.RouteConfiguration, headers map[string]string) (*routev3.VirtualHost, *routev3.Route) {
	for _, host := range config.GetVirtualHosts() {
		for _, route := range host.GetRoutes() {
			fits := true
			for _, m := range route.GetMatch().GetHeaders() {
				fits = fits && headers[m.GetName()] == m.GetStringMatch().GetExact()
			}
			if fits {
				return host, route
			}
		}
	}
	return nil, nil
}

// filters is the status that a filter answers with, 0 where all let the request pass.
func (e *Envoy) filters(hcm *hcmv3.HttpConnectionManager, headers map[string]string) int {
	for _, f := range hcm.GetHttpFilters() {
		source := f.GetConfigDiscovery().GetConfigSource()
		if source.GetAds() == nil {
			continue
		}
		v := e.valueOf(resource.ExtensionConfigType, f.GetName(), source)
		var config corev3.TypedExtensionConfig
		if v == nil || v.UnmarshalTo(&config) != nil {
			return 500
		}
		wasm := &wasmv3.Wasm{}
		switch packed := config.GetTypedConfig(); {
		case packed.MessageIs(&rbacv3.RBAC{}):
			return 403
		case packed.MessageIs(&mutationv3.HeaderMutation{}), packed.MessageIs(&luav3.Lua{}):
			continue
		case packed.MessageIs(&injectorv3.CredentialInjector{}):
			if asks, err := sourcesIn(&config); err != nil || e.missing(asks) != "" {
				return 401
			}
			continue
		case !packed.MessageIs(wasm) || packed.UnmarshalTo(wasm) != nil:
			return 500
		}
		if status := e.config.Filter(wasm.GetConfig(), headers); status != 0 {
			return status
		}
	}
	return 0
}

// endpoint is where a cluster sends a request, "" for nowhere.
func (e *Envoy) endpoint(cluster string, added []*corev3.HeaderValueOption) string {
	c := e.clusters[cluster]
	if c == nil {
		return ""
	}
	for _, below := range c.of {
		if endpoint := e.endpoint(below, added); endpoint != "" {
			return endpoint
		}
	}
	if c.redirect {
		for _, h := range added {
			if strings.EqualFold(h.GetHeader().GetKey(), "x-envoy-original-dst-host") {
				return h.GetHeader().GetValue()
			}
		}
	}
	for _, locality := range c.assignment.GetEndpoints() {
		for _, endpoint := range locality.GetLbEndpoints() {
			s := endpoint.GetEndpoint().GetAddress().GetSocketAddress()
			return fmt.Sprintf("%s:%d", s.GetAddress(), s.GetPortValue())
		}
	}
	return ""
}
