package identity

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A pair is the server's certificate, with the chain that it sends along, and its key.
type pair struct {
	tls.Certificate

	chain []*x509.Certificate
}

// newPair reads one. What is half-written, does not belong together, or can't be used at this
// time is an error.
func newPair(cert, key []byte, now time.Time) (*pair, error) {
	chain, err := certificates(cert)
	if err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate and its key: %w", err)
	}
	for _, c := range chain {
		if err := timely(c, now); err != nil {
			return nil, err
		}
	}
	return &pair{c, chain}, nil
}

// A bundle is what client certificates are verified by.
type bundle struct {
	pool  *x509.CertPool
	roots []*x509.Certificate
}

// newBundle reads one, of which at least one authority is to be of use at this time.
func newBundle(text []byte, now time.Time) (*bundle, error) {
	roots, err := certificates(text)
	if err != nil {
		return nil, err
	}
	b := &bundle{x509.NewCertPool(), roots}
	var late error
	good := false
	for _, c := range roots {
		b.pool.AddCert(c)
		if err := timely(c, now); err != nil {
			late = err
		} else {
			good = true
		}
	}
	if !good {
		return nil, late
	}
	return b, nil
}

// verify is until when a client's certificates prove who it is, by these authorities.
func (b *bundle) verify(sent []*x509.Certificate, now time.Time) (until time.Time, err error) {
	between := x509.NewCertPool()
	for _, c := range sent[1:] {
		between.AddCert(c)
	}
	chains, err := sent[0].Verify(x509.VerifyOptions{
		Roots: b.pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return time.Time{}, err
	}
	for _, chain := range chains {
		if end := ends(chain); end.After(until) {
			until = end
		}
	}
	return until, nil
}

// verified is until when chains that a handshake has verified just now prove who a client is, by an
// authority of these; not ok where it was verified by others, which were replaced meanwhile.
func (b *bundle) verified(chains [][]*x509.Certificate) (until time.Time, ok bool) {
	for _, chain := range chains {
		if slices.ContainsFunc(b.roots, chain[len(chain)-1].Equal) {
			if end := ends(chain); end.After(until) {
				until = end
			}
			ok = true
		}
	}
	return until, ok
}

// ends is when the first of some certificates expires.
func ends(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, c := range chain {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

var errNotYet = errors.New("is not valid yet")

func timely(c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("the certificate of %s has expired: it was valid until %s", nameOf(c), c.NotAfter.Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the certificate of %s %w: it is from %s on", nameOf(c), errNotYet, c.NotBefore.Format(time.RFC3339))
	}
	return nil
}

// certificates reads a PEM file of one or more certificates, all of it: a part that is cut off
// is no end.
func certificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	blocks := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
	switch begun := bytes.Count(text, []byte("-----BEGIN ")); {
	case begun != blocks:
		return nil, fmt.Errorf("%d of %d parts are not whole", begun-blocks, begun)
	case len(out) == 0:
		return nil, errors.New("there is no certificate in it, in PEM")
	}
	return out, nil
}
