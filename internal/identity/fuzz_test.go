package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Rules are refused, or can be written and read again and then say the same; and whatever names
// a certificate has, it is granted what a rule says and no more: no node of an empty name, none
// by a name that no rule matches.
func FuzzRules(f *testing.F) {
	for _, rules := range []string{
		``, `[]`, `- {dns: "*.edge.example", nodes: ["{1}"], fleets: [edge]}`,
		`[{uri: "spiffe://*/edge/*", nodes: ["{1}-{2}", "{2}"]}, {cn: "*", nodes: [c]}]`,
		`[{cn: ops, nodes: ["edge-*"]}]`, `[{cn: "*", nodes: ["{1}"], fleets: []}]`, `[{dns: a, cn: b, nodes: ["{9}"]}]`,
		`[{dns: !!binary "/w==", nodes: [a]}]`, `[{dns: a, nodes: [!!binary "/w=="]}]`, "&a [*a]", "- &a {dns: b, nodes: [c]}\n- <<: *a",
	} {
		f.Add(rules, "a.edge.example", "spiffe://eu/edge/1", "ops", "1")
	}
	f.Add("", "edge-1", "spiffe://example.org/%ff", "\xff", "\xff")
	f.Fuzz(func(t *testing.T, text, dns, uri, cn, node string) {
		rules, err := ParseRules(text)
		if err != nil {
			if err.Error() == "" || len(rules.list) > 0 {
				t.Errorf("%v, and rules %v", err, rules.list)
			}
			return
		}
		again, err := ParseRules(rules.String())
		if err != nil || again.String() != rules.String() {
			t.Fatalf("%s is, written and read, %s (%v)", rules.String(), again.String(), err)
		}
		c := &x509.Certificate{DNSNames: []string{dns}, Subject: pkix.Name{CommonName: cn}}
		if u, err := url.Parse(uri); err == nil {
			c.URIs = []*url.URL{u}
		}
		one, two := rules.grant(c), again.grant(c)
		if one.allows(node) != two.allows(node) || len(one.nodes) != len(two.nodes) {
			t.Errorf("rules that were written and read grant %q something else", node)
		}
		if one.allows("") && dns != "" {
			t.Errorf("%s: a certificate of %q, %q, %q may be a node without a name", text, dns, uri, cn)
		}
		if len(rules.list) == 0 && one.allows(node) && node != dns && !strings.HasSuffix(c.URIs[0].Path, "/"+node) {
			t.Errorf("without rules %q, %q may be %q", dns, uri, node)
		}
		if nobody := rules.grant(&x509.Certificate{}); len(nobody.nodes) > 0 {
			t.Errorf("%s: a certificate without a name may be a node", text)
		}
	})
}

// Whatever is in the files of certificates, it is refused or is one that is of use now; and what
// the authorities say of a client is the same after the certificates were written and read.
func FuzzCertificates(f *testing.F) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	cert, key := selfSigned(f, now, "spiffe://example.org/edge-1")
	other, _ := selfSigned(f, now, "spiffe://example.org/%ff")
	f.Add(cert, key)
	f.Add(other, key)
	f.Add(append(cert, other...), key)
	f.Add(cert[:len(cert)/2], key[:len(key)/2])
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN "))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		if p, err := newPair(cert, key, now); err == nil {
			for _, c := range p.chain {
				if timely(c, now) != nil {
					t.Errorf("%s is taken, and is of no use now", nameOf(c))
				}
			}
		}
		b, err := newBundle(cert, now)
		if err != nil {
			return
		}
		if len(b.roots) == 0 {
			t.Fatal("authorities without one")
		}
		var text []byte
		for _, c := range b.roots {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		}
		again, err := newBundle(text, now)
		if err != nil || len(again.roots) != len(b.roots) {
			t.Fatalf("written and read: %v", err)
		}
		for i, c := range b.roots {
			until, err := b.verify(b.roots[i:], now)
			until2, err2 := again.verify(b.roots[i:], now)
			if (err == nil) != (err2 == nil) || !until.Equal(until2) {
				t.Errorf("%s holds until %v (%v), and again until %v (%v)", nameOf(c), until, err, until2, err2)
			}
			if err == nil && (until.Before(now) || until.After(c.NotAfter)) {
				t.Errorf("%s holds until %v, and is valid until %v", nameOf(c), until, c.NotAfter)
			}
			Rules{}.grant(c) // nothing panics
		}
	})
}

// selfSigned is a certificate for a URI that is its own authority, and its key.
func selfSigned(f *testing.F, now time.Time, uri string) (cert, key []byte) {
	f.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		f.Fatal(err)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), URIs: []*url.URL{u},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		f.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		f.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}
