package identity_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/certs"
	"github.com/waxwing-xds/waxwing/internal/identity"
)

// agent is a SPIFFE Workload API that says what the test has it say.
type agent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer

	answers chan *workload.X509SVIDResponse
}

func (a *agent) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	for {
		select {
		case answer := <-a.answers:
			if err := stream.Send(answer); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return nil
		}
	}
}

// spoken runs one until the test ends, and returns its address.
func spoken(t *testing.T) (*agent, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	a, g := &agent{answers: make(chan *workload.X509SVIDResponse)}, grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(g, a)
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-done })
	return a, "unix://" + path
}

// svid is an answer with a certificate of the server, and the authorities of its trust domain.
func svid(t *testing.T, by *certs.Authority, from time.Time, authorities ...*certs.Authority) *workload.X509SVIDResponse {
	t.Helper()
	const id = "spiffe://example.org/xds"
	u, err := url.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	made, err := by.Issue(certs.Request{URIs: []*url.URL{u}, Server: true, From: from, Until: from.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	der := func(text []byte) []byte { block, _ := pem.Decode(text); return block.Bytes }
	out := &workload.X509SVID{SpiffeId: id, X509Svid: der(made.Cert), X509SvidKey: der(made.Key)}
	for _, a := range authorities {
		out.Bundle = append(out.Bundle, a.Cert.Raw...)
	}
	return &workload.X509SVIDResponse{Svids: []*workload.X509SVID{out}}
}

// client is the certificate of a proxy.
func client(t *testing.T, by *certs.Authority, id string) tls.Certificate {
	t.Helper()
	u, err := url.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	made, err := by.Issue(certs.Request{URIs: []*url.URL{u}, From: time.Now().Add(-time.Minute), Until: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.X509KeyPair(made.Cert, made.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What the Workload API has is used, and taken anew when it changes; what can't be used, and that
// it is gone, replaces nothing.
func TestSPIFFE(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a, address := spoken(t)
	now := time.Now()
	var authorities []*certs.Authority
	for _, name := range []string{"one", "two"} {
		authority, err := certs.NewAuthority(name, now.Add(-time.Hour), now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		authorities = append(authorities, authority)
	}
	one, two := authorities[0], authorities[1]
	first := svid(t, one, now.Add(-time.Minute), one)
	go func() { a.answers <- first; a.answers <- first }() // to be fetched once, then to be watched
	keeper, err := identity.NewSPIFFE(ctx, slog.New(slog.DiscardHandler), address, tls.VersionTLS13, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	p := guardedBy(t, "", keeper)
	t.Cleanup(cancel) // before the port waits for its keeper
	server := p.presented()
	if end := p.openedWith("edge-1", client(t, one, "spiffe://example.org/ns/prod/edge-1")); end == nil {
		t.Fatal("it is not let in")
	}

	a.answers <- svid(t, one, now.Add(-time.Minute), one, two)
	p.eventually("the new certificate is served", func() bool { return p.presented() != server })
	p.openedWith("edge-2", client(t, two, "spiffe://example.org/edge-2"))
	server = p.presented()

	a.answers <- svid(t, one, now.Add(-2*time.Hour), one) // it has expired
	p.eventually("it is said", func() bool { return strings.Contains(p.problem("server"), "has expired") })
	if p.presented() != server {
		t.Error("what has expired is served")
	}
	a.answers <- svid(t, two, now.Add(-time.Minute), two)
	p.eventually("who is of the authority that is gone is refused", func() bool { return p.refused(identity.Revoked) == 1 })
	if uses := p.status().Certificates; len(uses) != 2 || slices.ContainsFunc(uses, func(c api.Certificate) bool { return c.Problem != "" || c.File != address }) {
		t.Errorf("in use are %+v", uses)
	}
}

// Without a Workload API the server does not start.
func TestNoSPIFFE(t *testing.T) {
	for address, want := range map[string]string{
		"unix://" + filepath.Join(t.TempDir(), "none.sock"): "the SPIFFE Workload API at unix://",
		"nowhere": "the SPIFFE Workload API: ",
	} {
		if _, err := identity.NewSPIFFE(t.Context(), slog.New(slog.DiscardHandler), address, tls.VersionTLS13, time.Now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
