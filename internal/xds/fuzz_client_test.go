package xds

import (
	"context"
	"io"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// An adsClient is a client of FuzzADS, with one stream. It holds what it was sent against the
// rules of the protocol.
type adsClient struct {
	grpc.ServerStream
	t      *testing.T
	sotw   bool
	honest bool // it accepts what it is sent, at once
	ctx    context.Context
	end    context.CancelFunc
	in     chan adsRequest
	events []Event // that were told of it

	mu       sync.Mutex
	stalled  chan struct{}     // closed when it reads again; nil while it does
	owes     map[string]string // nonces that it is yet to answer, by type
	nonces   map[string]string // the last, by type
	versions map[string]string // of resources
	asked    map[string]int    // requests by type
	got      map[string]int    // responses by type
	requests int
	sent     int
	wrong    string // what was wrong with what it was sent
}

func newADSClient(t *testing.T, sotw bool) *adsClient {
	c := &adsClient{
		t: t, sotw: sotw, in: make(chan adsRequest),
		owes: map[string]string{}, nonces: map[string]string{}, versions: map[string]string{}, asked: map[string]int{}, got: map[string]int{},
	}
	c.ctx, c.end = context.WithCancel(t.Context())
	return c
}

// Context implements grpc.ServerStream.
func (c *adsClient) Context() context.Context {
	return grpc.NewContextWithServerTransportStream(c.ctx, ending{end: c.end})
}

// run is the server's side, until the stream ends.
func (c *adsClient) run(s *Server) {
	defer c.end()
	_ = s.serve(c, c.sotw, func(session *session) error {
		select {
		case r := <-c.in:
			return c.take(session, r)
		case <-c.ctx.Done():
			return io.EOF
		}
	})
}

func (c *adsClient) take(session *session, r adsRequest) error {
	switch {
	case r.broken:
		return session.receiving(errCut)
	case c.sotw:
		return session.sotwRequest(&discoveryv3.DiscoveryRequest{
			Node: r.node, TypeUrl: r.url, ResponseNonce: r.nonce, ErrorDetail: r.detail, ResourceNames: r.names, VersionInfo: r.version,
		})
	}
	return session.deltaRequest(&discoveryv3.DeltaDiscoveryRequest{
		Node: r.node, TypeUrl: r.url, ResponseNonce: r.nonce, ErrorDetail: r.detail,
		ResourceNamesSubscribe: r.names, ResourceNamesUnsubscribe: r.gone, InitialResourceVersions: r.versions,
	})
}

// ask sends a request, if the stream is there.
func (c *adsClient) ask(r adsRequest) {
	c.mu.Lock()
	c.requests++
	c.asked[r.url]++
	if c.owes[r.url] == r.nonce {
		delete(c.owes, r.url)
	}
	c.mu.Unlock()
	if r.node != nil {
		r.node = proto.CloneOf(r.node) // it is the server's from now on
	}
	select {
	case c.in <- r:
	case <-c.ctx.Done():
	}
}

// SendMsg implements grpc.ServerStream.
func (c *adsClient) SendMsg(m any) error {
	c.mu.Lock()
	stalled := c.stalled
	c.mu.Unlock()
	if stalled != nil {
		select {
		case <-stalled:
		case <-c.ctx.Done():
			return io.EOF
		}
	}
	url, nonce := c.received(m)
	if c.honest {
		go c.ask(adsRequest{url: url, nonce: nonce})
	}
	return nil
}

func (c *adsClient) received(m any) (url, nonce string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bytes := 0
	switch m := m.(type) {
	case *discoveryv3.DeltaDiscoveryResponse:
		url, nonce = m.GetTypeUrl(), m.GetNonce()
		for _, r := range m.GetResources() {
			bytes += len(r.GetResource().GetValue())
			c.versions[r.GetName()] = r.GetVersion()
		}
		if len(m.GetResources())+len(m.GetRemovedResources()) > 1000 {
			c.wrong = "it is sent more than there is"
		}
	case *discoveryv3.DiscoveryResponse:
		url, nonce = m.GetTypeUrl(), m.GetNonce()
		for _, r := range m.GetResources() {
			bytes += len(r.GetValue())
		}
	}
	_, owes := c.owes[url]
	switch {
	case nonce == "" || nonce == c.nonces[url]:
		c.wrong = "a response has no nonce of its own"
	case owes:
		c.wrong = "a response of " + url + " comes before it has answered the one before"
	case bytes > 1<<20:
		c.wrong = "it is sent more than there is"
	}
	c.sent++
	c.got[url]++
	c.owes[url], c.nonces[url] = nonce, nonce
	return url, nonce
}

// hold says what was wrong.
func (c *adsClient) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wrong != "" {
		c.t.Error(c.wrong)
	}
	for url, n := range c.got {
		if n > c.asked[url] {
			c.t.Errorf("%d responses of %s to %d requests", n, url, c.asked[url])
		}
	}
}

// stall has it read no more, or again.
func (c *adsClient) stall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalled != nil {
		close(c.stalled)
		c.stalled = nil
		return
	}
	c.stalled = make(chan struct{})
}

func (c *adsClient) leave() { c.end() }
