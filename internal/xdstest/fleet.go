package xdstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Dial makes a connection as an Envoy has: its windows for streams and
// connections (16 and 24 MiB, envoy.config.core.v3.Http2ProtocolOptions), and the
// retries of our bootstrap. The rest is as small as gRPC allows. It connects
// when a proxy does.
func Dial(address string) (*grpc.ClientConn, error) { return dial(address, nil) }

// dial is the same with credentials, nil for plain text.
func dial(address string, by credentials.TransportCredentials) (*grpc.ClientConn, error) {
	if by == nil {
		by = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(by),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)),
		grpc.WithInitialWindowSize(16<<20), grpc.WithInitialConnWindowSize(24<<20),
		grpc.WithReadBufferSize(4<<10), grpc.WithWriteBufferSize(4<<10),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithNoProxy(), grpc.WithIdleTimeout(0),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 250 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 10 * time.Second,
		}))
	if err != nil {
		return nil, fmt.Errorf("a simulated proxy's connection: %w", err)
	}
	return conn, nil
}

// A Fleet is many proxies, each with a connection of its own.
type Fleet struct {
	Proxies []*Proxy
	conns   []*grpc.ClientConn
}

// NewFleet makes n proxies of a server that are not connected.
func NewFleet(n int, address string, config func(i int) Config) (*Fleet, error) {
	f := &Fleet{}
	for i := range n {
		c := config(i)
		conn, err := dial(address, c.Credentials)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.conns = append(f.conns, conn)
		f.Proxies = append(f.Proxies, New(c))
	}
	return f, nil
}

// connecting is how many proxies open their streams at a time.
const connecting = 64

// Connect opens a stream for each proxy, and returns when all are open.
func (f *Fleet) Connect(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(connecting)
	for i, p := range f.Proxies {
		g.Go(func() error { return p.Connect(ctx, f.conns[i]) })
	}
	return g.Wait()
}

// Stay keeps every proxy connected until ctx ends: a stream that ends is opened
// again after a back-off, with what the proxy has by then.
func (f *Fleet) Stay(ctx context.Context) {
	var wg sync.WaitGroup
	for i, p := range f.Proxies {
		wg.Go(func() { p.stay(ctx, f.conns[i]) })
	}
	wg.Wait()
}

func (p *Proxy) stay(ctx context.Context, conn *grpc.ClientConn) {
	for ctx.Err() == nil {
		if p.Connect(ctx, conn) == nil {
			p.mu.Lock()
			done := p.done
			p.mu.Unlock()
			<-done
		}
		// Envoy's, with the bootstrap's base interval: up to so long, at random.
		timer := time.NewTimer(rand.N(250 * time.Millisecond)) //nolint:gosec // a delay is no secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// Close ends the streams and the connections.
func (f *Fleet) Close() error {
	var errs []error
	var wg sync.WaitGroup
	for _, p := range f.Proxies {
		wg.Go(p.Close)
	}
	wg.Wait()
	for _, conn := range f.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}
