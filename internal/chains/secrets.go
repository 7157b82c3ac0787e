package chains

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// Keys are the certificates that secrets are made of: an authority and what it signed.
// They are made anew for each process, and nothing else trusts them.
type Keys struct {
	authority string   // PEM
	others    []string // authorities that signed nothing
	certs     [Turns]pair
	Service   tls.Certificate // of the services
}

type pair struct{ cert, key string }

// NewKeys makes keys.
func NewKeys() (*Keys, error) {
	k := &Keys{}
	root, rootKey, err := k.sign("authority", 1, nil, nil)
	if err != nil {
		return nil, err
	}
	k.authority = root.cert
	parent, err := x509.ParseCertificate(der(root.cert))
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	for i := range Turns {
		if k.certs[i], _, err = k.sign("127.0.0.1", int64(i+1), parent, rootKey); err != nil {
			return nil, err
		}
		other, _, err := k.sign("other", 1, nil, nil)
		if err != nil {
			return nil, err
		}
		k.others = append(k.others, other.cert)
	}
	k.Service, err = tls.X509KeyPair([]byte(k.certs[0].cert), []byte(k.certs[0].key))
	return k, err
}

func der(text string) []byte {
	block, _ := pem.Decode([]byte(text))
	return block.Bytes
}

// sign makes a certificate, signed by itself where there is no parent. The serial of
// a secret's is its turn and one.
func (k *Keys) sign(name string, serial int64, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (pair, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, nil, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour),
		BasicConstraintsValid: true, IsCA: parent == nil,
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return pair{}, nil, fmt.Errorf("signing a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, nil, fmt.Errorf("writing a key: %w", err)
	}
	block := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	return pair{block("CERTIFICATE", cert), block("PRIVATE KEY", secret)}, key, nil
}

// Content is what is in a secret, for Setting.
func (k *Keys) Content(kind SecretKind, turn int) any {
	inline := func(s string) object { return object{"inline_string": s} }
	switch kind {
	case Certificate:
		return object{"tls_certificate": object{
			"certificate_chain": inline(k.certs[turn].cert), "private_key": inline(k.certs[turn].key),
		}}
	case Validation: // whose every turn trusts the services
		return object{"validation_context": object{"trusted_ca": inline(k.authority + strings.Join(k.others[:turn], ""))}}
	case Tickets:
		key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune('a'+turn)), 80)))
		return object{"session_ticket_keys": object{"keys": list{object{"inline_bytes": key}}}}
	case Generic:
	}
	return object{"generic_secret": object{"secret": inline(fmt.Sprintf("credential-%d", turn))}}
}

// listener is one with TLS, for a service.
func (k *Keys) listener(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{k.Service}, MinVersion: tls.VersionTLS12})
}
