package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// certificates puts certificates into cases, after the words: what is in base64 may look like one.
var certificates = strings.NewReplacer(
	"LEAF", pair("x", ""),
	"NAMELESS", pair("", ""),
	"STAPLETEXT", pair("x", "ocsp_staple: {inline_string: abc}, "),
	"STAPLED", pair("x", "", pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}), // RFC 7633
)

// pair is a certificate and its key, as Envoy's TlsCertificate in YAML.
func pair(name, more string, extensions ...pkix.Extension) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(24 * time.Hour), ExtraExtensions: extensions}
	chain, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("{%scertificate_chain: {inline_string: %q}, private_key: {inline_string: %q}}", more,
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}
