package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// valid is a certificate in PEM for a span of days from a day on.
func valid(t *testing.T, epoch time.Time, from, to int) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: epoch.AddDate(0, 0, from), NotAfter: epoch.AddDate(0, 0, to)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// A chain is valid while all of it is, and a bundle of CAs while one of them is.
func TestForHowLongCertificatesHold(t *testing.T) {
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	text := &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: valid(t, epoch, 10, 100) + valid(t, epoch, 0, 50)}}
	secret := &tlsv3.Secret{Name: "web", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: text}}}
	bundle := &tlsv3.Secret{Name: "ca", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: text}}}
	for _, c := range []struct {
		secret     *tlsv3.Secret
		from, to   int
		invalid    int
		whyInvalid string
	}{
		{secret, 10, 50, 5, "is not valid before 2026-01-11 00:00:00 UTC"},
		{bundle, 0, 100, 101, "is not valid after 2026-04-11 00:00:00 UTC"},
	} {
		all := CertificatesOf(c.secret)
		if len(all) != 1 || !all[0].NotBefore.Equal(epoch.AddDate(0, 0, c.from)) || !all[0].NotAfter.Equal(epoch.AddDate(0, 0, c.to)) {
			t.Errorf("%s: %+v", c.secret.GetName(), all)
			continue
		}
		if why := all[0].WhyInvalid(epoch.AddDate(0, 0, 20)); why != "" {
			t.Errorf("%s: %s", c.secret.GetName(), why)
		}
		if why := all[0].WhyInvalid(epoch.AddDate(0, 0, c.invalid)); why != c.whyInvalid {
			t.Errorf("%s: %s", c.secret.GetName(), why)
		}
	}
}
