package fleet

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"go.yaml.in/yaml/v3"
)

// serverTLS reports a server without a certificate.
func (p *parser) serverTLS(c *tlsv3.DownstreamTlsContext, n *yaml.Node) {
	common := c.GetCommonTlsContext()
	if len(common.GetTlsCertificates())+len(common.GetTlsCertificateSdsSecretConfigs()) == 0 &&
		common.GetTlsCertificateProviderInstance() == nil && common.GetCustomTlsCertificateSelector() == nil {
		p.add(lineOf(n, "common_tls_context"), "a server has a certificate: tls_certificates, or tls_certificate_sds_secret_configs")
	}
}

// certificate reports a certificate that can't be one, or whose key is another's. What
// stands in a file, only the proxy sees. No part of a key is in an error.
func (p *parser) certificate(c *tlsv3.TlsCertificate, n *yaml.Node) {
	if _, text := c.GetOcspStaple().GetSpecifier().(*corev3.DataSource_InlineString); text {
		p.add(lineOf(n, "ocsp_staple"), "ocsp_staple is of bytes, no text: give inline_bytes, or a file")
	}
	if c.GetPkcs12() != nil || c.GetPrivateKeyProvider() != nil {
		return
	}
	if c.GetCertificateChain() != nil && c.GetPrivateKey() == nil {
		p.add(n.Line, "a certificate has a private_key")
	}
	chain, key := inline(c.GetCertificateChain()), inline(c.GetPrivateKey())
	switch {
	case chain != nil && blocks(chain, "CERTIFICATE") == 0:
		p.add(lineOf(n, "certificate_chain"), "certificate_chain holds no certificate in PEM")
	case key != nil && blocks(key, "PRIVATE KEY") == 0:
		p.add(lineOf(n, "private_key"), "private_key holds no key in PEM")
	case chain != nil && key != nil && c.GetPassword() == nil && mismatch(chain, key):
		p.add(lineOf(n, "private_key"), "private_key is not the key of certificate_chain")
	}
}

// inline is data that the file itself has, or nil.
func inline(source *corev3.DataSource) []byte {
	if text := source.GetInlineString(); text != "" {
		return []byte(text)
	}
	return source.GetInlineBytes()
}

// blocks counts the parts of a PEM text of which the name ends so.
func blocks(text []byte, kind string) int {
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, kind) {
			n++
		}
	}
	return n
}

// mismatch says that both are read here, and don't belong to each other. What is not
// read here a proxy may well read.
func mismatch(chain, key []byte) bool {
	if _, err := tls.X509KeyPair(chain, key); err == nil {
		return false
	}
	certificate := leafOf(chain)
	if certificate == nil {
		return false
	}
	public, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	private := privateKey(key)
	return ok && private != nil && !public.Equal(private.Public())
}

// privateKey reads a key that is not encrypted, or returns nil.
func privateKey(text []byte) crypto.Signer {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			signer, _ := key.(crypto.Signer)
			return signer
		}
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key
		}
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key
		}
	}
	return nil
}

// A Certificate is for how long a chain, or the CAs that are trusted, hold.
type Certificate struct {
	Line      int    // of the fleet file, where it was read from one
	What      string // "certificate" or "trusted CA"
	NotBefore time.Time
	NotAfter  time.Time
}

// WhyInvalid is why it is not valid at a time, "" if it is.
func (c Certificate) WhyInvalid(at time.Time) string {
	switch {
	case at.Before(c.NotBefore):
		return "is not valid before " + c.NotBefore.UTC().Format(time.DateTime) + " UTC"
	case at.After(c.NotAfter):
		return "is not valid after " + c.NotAfter.UTC().Format(time.DateTime) + " UTC"
	}
	return ""
}

// CertificatesOf are those that a resource itself has; what is in files only a proxy sees.
func CertificatesOf(m proto.Message) []Certificate {
	var out []Certificate
	visit(m, nil, func(m proto.Message, _ *yaml.Node, _ bool) {
		if c, ok := certificateOf(m); ok {
			out = append(out, c)
		}
	})
	return out
}

// certificateOf reads the certificates of a message that has some. A chain is valid while all
// of it is; of the CAs one that is valid may be enough.
func certificateOf(m proto.Message) (out Certificate, ok bool) {
	var text []byte
	switch m := m.(type) {
	case *tlsv3.TlsCertificate:
		out.What, text = "certificate", inline(m.GetCertificateChain())
	case *tlsv3.CertificateValidationContext:
		out.What, text = "trusted CA", inline(m.GetTrustedCa())
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue // a key, or what a proxy may read
		}
		if chain := out.What == "certificate"; !ok || c.NotBefore.After(out.NotBefore) == chain {
			out.NotBefore = c.NotBefore
		}
		if chain := out.What == "certificate"; !ok || c.NotAfter.Before(out.NotAfter) == chain {
			out.NotAfter = c.NotAfter
		}
		ok = true
	}
	return out, ok
}
