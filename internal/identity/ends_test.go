package identity_test

import (
	"crypto/tls"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/certs"
	"github.com/waxwing-xds/waxwing/internal/identity"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// endsWithin is how long a stream may go on whose certificate does not hold any more.
const endsWithin = 10 * time.Second

// all opens a stream of each service, each on a connection of its own, and returns a function that
// fails unless each has ended, for the certificate, that soon after a moment.
func (p *port) all(id string, conn func() *grpc.ClientConn) (ended func(since time.Time)) {
	p.t.Helper()
	n := &corev3.Node{Id: id, Cluster: "edge", Metadata: xdstest.Metadata(p.t, `{"waxwing": {"evidence": ["metrics"]}}`)}
	ends := map[string]chan error{}
	for service := range services {
		stream, name := p.speaks(p.ctx, service, conn(), n)
		if name != id {
			p.t.Errorf("%s: it is known as %q", service, name)
		}
		end := make(chan error, 1)
		go func() { end <- p.end(stream) }()
		ends[service] = end
	}
	return func(since time.Time) {
		p.t.Helper()
		for service, end := range ends {
			select {
			case err := <-end:
				if status.Code(err) != codes.Unavailable && status.Code(err) != codes.PermissionDenied {
					p.t.Errorf("%s: it ended with %v", service, err)
				}
			case <-time.After(time.Until(since.Add(endsWithin))):
				p.t.Errorf("%s: it goes on", service)
			}
		}
	}
}

// A certificate that is revoked by a new bundle, or expires, ends the streams of each service, those
// that say nothing meanwhile too.
func TestAllStreamsEnd(t *testing.T) {
	t.Parallel()
	t.Run("revoked", func(t *testing.T) {
		t.Parallel()
		p := guarded(t, "", "edge-1")
		ended := p.all("edge-1", func() *grpc.ClientConn { return p.as("edge-1") })
		p.make(certs.Options{Rotate: certs.Rotation{CA: true}})
		p.make(certs.Options{RetireCA: true})
		ended(time.Now())
	})
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		p := guarded(t, "", "edge-1")
		ended := p.all("edge-1", func() *grpc.ClientConn { return p.as("edge-1") })
		p.ahead.Store(int64(91 * 24 * time.Hour))
		ended(time.Now())
	})
}

// So it is where the certificates are those of the SPIFFE Workload API: a trust domain's authority that
// is gone, and time, end the streams of each service, and of nobody else.
func TestAllStreamsEndBySPIFFE(t *testing.T) {
	a, address := spoken(t)
	now := time.Now()
	one, two := authority(t, now), authority(t, now)
	first := svid(t, one, now.Add(-time.Minute), one, two)
	go func() { a.answers <- first; a.answers <- first }()
	p := &port{t: t}
	keeper, err := identity.NewSPIFFE(t.Context(), slog.New(slog.DiscardHandler), address, tls.VersionTLS13, p.now)
	if err != nil {
		t.Fatal(err)
	}
	p.serve("", keeper)
	by := func(issuer *certs.Authority, id string) func() *grpc.ClientConn {
		c := client(t, issuer, "spiffe://example.org/"+id)
		return func() *grpc.ClientConn { return p.dial(presenting(c)) }
	}
	endedOne, endedTwo := p.all("edge-1", by(one, "edge-1")), p.all("edge-2", by(two, "edge-2"))
	a.answers <- svid(t, two, now.Add(-time.Minute), two)
	endedOne(time.Now())
	p.eventually("each is counted", func() bool { return p.refused(identity.Revoked) == int64(len(services)) })
	p.ahead.Store(int64(2 * time.Hour)) // a certificate is for one
	endedTwo(time.Now())
	p.eventually("each is counted", func() bool { return p.refused(identity.Expired) == int64(len(services)) })
}

func authority(t *testing.T, now time.Time) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority("example.org", now.Add(-time.Hour), now.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return a
}
