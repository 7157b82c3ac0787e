package snapshot

import (
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	sniv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/cert_mappers/sni/v3"
	namev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/cert_mappers/static_name/v3"
	ondemandv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/cert_selectors/on_demand_secret/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A listener may fetch a certificate for each connection, by a name that a mapper makes of what
// the client says. Whoever asks it says what leads to a certificate that the fleet has: any other
// handshake fails, whatever the filters are.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/transport_sockets/tls/cert_selectors/on_demand_secret/v3/config.proto

const noCertificate = "which certificate a connection gets is chosen for each (custom_tls_certificate_selector), and "

// certified finds out which name a connection is to ask for, and why there is none.
func (w *ways) certified(chain *listenerv3.FilterChain, c *connection) (why string) {
	selector := tlsOf(chain).GetCommonTlsContext().GetCustomTlsCertificateSelector()
	if selector == nil {
		return ""
	}
	onDemand, is := fleet.Content(selector.GetTypedConfig()).(*ondemandv3.Config)
	if !is {
		return noCertificate + "what it is chosen by is not known"
	}
	switch mapper := fleet.Content(onDemand.GetCertificateMapper().GetTypedConfig()).(type) {
	case *namev3.StaticName:
		if !w.of.hasCertificate(mapper.GetName()) {
			return noCertificate + "the fleet has none of the name " + mapper.GetName()
		}
		return ""
	case *sniv3.SNI:
		return w.named(chain, c, mapper.GetDefaultValue())
	}
	return noCertificate + "what its name is made of is not known"
}

// named finds the name by which a client is given a certificate that the fleet has.
func (w *ways) named(chain *listenerv3.FilterChain, c *connection, nameless string) (why string) {
	if c.sni != "" && w.of.hasCertificate(c.sni) || c.sni == "" && w.of.hasCertificate(nameless) {
		return ""
	}
	for _, secret := range w.of.All(resource.SecretType) {
		asked := *c
		asked.sni = secret.Name
		if w.of.hasCertificate(secret.Name) && met(w.listener, w.inspected(asked)) == chain {
			*c = asked
			return ""
		}
	}
	return noCertificate + "the fleet has none for the names of this filter chain"
}

// hasCertificate is whether the fleet has a certificate of a name.
func (s *Snapshot) hasCertificate(name string) bool {
	secret := s.Get(resource.SecretType, name)
	if secret == nil {
		return false
	}
	m, is := fleet.Content(secret.Wire.GetResource()).(*tlsv3.Secret)
	return is && m.GetTlsCertificate() != nil
}
