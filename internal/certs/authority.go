// Package certs makes a development CA, and the certificates of a server and its proxies, as
// files that both take anew when they change. For production there are better ones: see
// docs/operating.md.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"
)

// An Authority issues certificates.
type Authority struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// A PEM is a certificate and its key.
type PEM struct{ Cert, Key []byte }

// A Request is for a certificate, of a server where it says so, else of a client.
type Request struct {
	CommonName  string
	DNS         []string
	IPs         []net.IP
	URIs        []*url.URL
	Server      bool
	From, Until time.Time
}

// NewAuthority makes one that is good from one time until another.
func NewAuthority(name string, from, until time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("the CA's key: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a := &Authority{Cert: template, key: key}
	a.Cert, err = a.sign(template, &key.PublicKey)
	return a, err
}

// Issue makes a certificate, with a key of its own.
func (a *Authority) Issue(r Request) (PEM, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return PEM{}, fmt.Errorf("a key: %w", err)
	}
	usage := x509.ExtKeyUsageClientAuth
	if r.Server {
		usage = x509.ExtKeyUsageServerAuth
	}
	c, err := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: r.CommonName}, DNSNames: r.DNS, IPAddresses: r.IPs, URIs: r.URIs,
		NotBefore: r.From, NotAfter: r.Until, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}, &key.PublicKey)
	if err != nil {
		return PEM{}, err
	}
	return encode(c, key)
}

func (a *Authority) sign(template *x509.Certificate, public *ecdsa.PublicKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("a serial number: %w", err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, a.Cert, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// PEM is the authority's own certificate and key.
func (a *Authority) PEM() (PEM, error) { return encode(a.Cert, a.key) }

func encode(c *x509.Certificate, key *ecdsa.PrivateKey) (PEM, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return PEM{}, fmt.Errorf("a key: %w", err)
	}
	return PEM{Cert: encodeCert(c), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}, nil
}

func encodeCert(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// readAuthority reads one: the first certificate of a bundle, and its key.
func readAuthority(bundle, key []byte) (*Authority, error) {
	c, err := readCert(bundle)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("its key is not in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("its key: %w", err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(c.PublicKey) {
		return nil, errors.New("its key is of another certificate")
	}
	return &Authority{Cert: c, key: private}, nil
}

func readCert(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("it is no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
