package fleet

import (
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// A secret may be a certificate, a validation context, session tickets or anything else. Envoy
// keeps one subscription for a name, whatever is asked for by it: where a revision has
// something of another kind by a name than the one before, a listener or cluster of the older
// one that is still there is given that, refuses it, and what comes beside it waits in vain. So
// a proxy has the kind in the name, but for certificates, which a handshake may ask for.

// secretName is the name by which proxies have a secret.
func secretName(m *tlsv3.Secret) string {
	of := m.ProtoReflect()
	kind := of.WhichOneof(of.Descriptor().Oneofs().ByName("type"))
	if kind == nil || m.GetTlsCertificate() != nil {
		return m.GetName()
	}
	return m.GetName() + kindMark + string(kind.Name())
}
