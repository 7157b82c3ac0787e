package fleet

import (
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"go.yaml.in/yaml/v3"
)

// refuseTLS reports what Envoy refuses of TLS beyond certificates.
func (p *parser) refuseTLS(m proto.Message, n *yaml.Node) {
	switch m := m.(type) {
	case *tlsv3.UpstreamTlsContext:
		if strings.Contains(m.GetSni(), "\x00") {
			p.add(lineOf(n, "sni"), "sni: a name has no NUL")
		}
		p.clientCertificates(m.GetCommonTlsContext(), n)
	case *tlsv3.DownstreamTlsContext:
		p.serverCertificates(m, n)
		p.mixedCertificates(m.GetCommonTlsContext(), n)
	case *tlsv3.TlsSessionTicketKeys:
		p.tickets(m, n)
	case *tlsv3.TlsParameters:
		for i, suite := range m.GetCipherSuites() {
			p.suite(suite, lineOf(n, "cipher_suites", i))
		}
	case *tlsv3.CommonTlsContext:
		p.peerNames(m.GetValidationContext(), n)
	}
}

// peerNames reports names of peers that are compared, while anybody may have signed them.
func (p *parser) peerNames(c *tlsv3.CertificateValidationContext, n *yaml.Node) {
	//nolint:staticcheck // deprecated, but Envoy still reads it
	if len(c.GetMatchTypedSubjectAltNames())+len(c.GetMatchSubjectAltNames()) == 0 || !anybodySigns(c) {
		return
	}
	p.add(lineOf(n, "validation_context"), "validation_context: names of a peer are compared only with a trusted_ca that has signed them")
}

// anybodySigns says that there is nothing by which it is known who may have signed a certificate.
func anybodySigns(c *tlsv3.CertificateValidationContext) bool {
	return c.GetTrustedCa() == nil && c.GetCaCertificateProviderInstance() == nil && c.GetSystemRootCerts() == nil && c.GetCustomValidatorConfig() == nil
}

// plainSuite is a suite's name, and no expression of several.
var plainSuite = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// suite reports a cipher suite that Envoy does not have.
func (p *parser) suite(name string, line int) {
	for one := range strings.SplitSeq(strings.Trim(name, "[]"), "|") {
		if plainSuite.MatchString(one) && !strings.HasPrefix(one, "-") && !cipherSuites[one] {
			p.add(line, "cipher_suites: Envoy has no %q", one)
		}
	}
}
