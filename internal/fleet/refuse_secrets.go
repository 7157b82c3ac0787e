package fleet

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"go.yaml.in/yaml/v3"
)

// ticketKey is the length of a key of session tickets.
const ticketKey = 80

// tickets reports keys of session tickets of another length. No part of a key is in an error.
func (p *parser) tickets(m *tlsv3.TlsSessionTicketKeys, n *yaml.Node) {
	for i, key := range m.GetKeys() {
		if length := len(inline(key)); inlined(key) && length != ticketKey {
			p.add(lineOf(n, "keys", i), "session_ticket_keys: a key has %d bytes, this has %d", ticketKey, length)
		}
	}
}

// inlined says that the file itself has the data.
func inlined(source *corev3.DataSource) bool {
	switch source.GetSpecifier().(type) {
	case *corev3.DataSource_InlineString, *corev3.DataSource_InlineBytes:
		return true
	}
	return false
}

// serverCertificates reports certificates of a server that have no name, or that must come
// with a proof that they are still good, and do not.
func (p *parser) serverCertificates(m *tlsv3.DownstreamTlsContext, n *yaml.Node) {
	for i, c := range m.GetCommonTlsContext().GetTlsCertificates() {
		line := lineOf(n, "common_tls_context", "tls_certificates", i)
		leaf := leafOf(inline(c.GetCertificateChain()))
		switch {
		case leaf != nil && leaf.Subject.CommonName == "" && extension(leaf, subjectAltName) == nil:
			p.add(line, "the certificate of a server has a name: this has neither a subject CN nor a SAN")
		case c.GetOcspStaple() != nil:
		case m.GetOcspStaplePolicy() == tlsv3.DownstreamTlsContext_MUST_STAPLE:
			p.add(line, "with ocsp_staple_policy: MUST_STAPLE a certificate has an ocsp_staple")
		case leaf != nil && bytes.Equal(extension(leaf, tlsFeature), statusRequest):
			p.add(line, "the certificate says that it must come with an ocsp_staple")
		}
	}
}

// What extensions say of a certificate; that it must be stapled (RFC 7633) by status_request.
var (
	subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	tlsFeature     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	statusRequest  = []byte{0x30, 3, 2, 1, 5}
)

func extension(c *x509.Certificate, id asn1.ObjectIdentifier) []byte {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return e.Value
		}
	}
	return nil
}

// leafOf is the first certificate of a chain, nil where it is not read here.
func leafOf(chain []byte) *x509.Certificate {
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return c
}

// clientCertificates reports a client that would have to choose between its certificates.
func (p *parser) clientCertificates(m *tlsv3.CommonTlsContext, n *yaml.Node) {
	if len(m.GetTlsCertificates())+len(m.GetTlsCertificateSdsSecretConfigs()) > 1 {
		p.add(lineOf(n, "common_tls_context"), "towards a service Envoy has one certificate: give one of tls_certificates and tls_certificate_sds_secret_configs, and one in it")
	}
}

// mixedCertificates reports a server with certificates of two origins.
func (p *parser) mixedCertificates(m *tlsv3.CommonTlsContext, n *yaml.Node) {
	if len(m.GetTlsCertificates()) > 0 && len(m.GetTlsCertificateSdsSecretConfigs()) > 0 && m.GetCustomHandshaker() == nil {
		p.add(lineOf(n, "common_tls_context"), "give one of tls_certificates and tls_certificate_sds_secret_configs")
	}
}

// bootstrapSecret reports a secret that a proxy would look for in its own bootstrap: without
// sds_config it asks nobody for it.
func (p *parser) bootstrapSecret(m *tlsv3.SdsSecretConfig, n *yaml.Node, here map[string]bool) {
	if m.GetSdsConfig() == nil && m.GetName() != "" && !here[m.GetName()] && !slices.Contains(p.doc.BootstrapSecrets, m.GetName()) {
		p.add(lineOf(n, "name"), "secret %q does not exist in this fleet, and has no sds_config: list it under bootstrap_secrets if the proxies have it in their bootstraps", m.GetName())
	}
}
