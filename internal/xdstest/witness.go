package xdstest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
)

// Evidence is what the proxies of a fleet tell besides ADS.
type Evidence struct {
	Flush []byte        // a StreamMetricsMessage that does not say whose it is
	Every time.Duration // from one flush to the next

	Flushes, Reports atomic.Int64 // that were sent
}

// Testify has each proxy open its metrics and its health discovery stream, on its
// own connection as Envoy does, flush, and report that whatever it is to ask
// itself holds. It returns when ctx ends, or with the first error of a stream.
func (f *Fleet) Testify(ctx context.Context, e *Evidence) error {
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range f.Proxies {
		g.Go(func() error { return e.flush(ctx, f.conns[i], p.config.Node) })
		g.Go(func() error { return e.report(ctx, f.conns[i], p.config.Node) })
	}
	return g.Wait()
}

// flush flushes, from a moment of its own on: a fleet does not start at once.
func (e *Evidence) flush(ctx context.Context, conn grpc.ClientConnInterface, node *corev3.Node) error {
	m, err := OpenMetrics(ctx, conn, node)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Flush(); err != nil { // says who it is
		return err
	}
	timer := time.NewTimer(rand.N(e.Every)) //nolint:gosec // a delay is no secret
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(e.Every)
		case <-ctx.Done():
			return nil
		}
		if err := m.FlushBytes(e.Flush); err != nil {
			return errors.Join(err, m.End())
		}
		e.Flushes.Add(1)
	}
}

func (e *Evidence) report(ctx context.Context, conn grpc.ClientConnInterface, node *corev3.Node) error {
	h := NewHealth(node)
	if err := h.Connect(ctx, conn); err != nil {
		return err
	}
	defer h.Close()
	for {
		h.mu.Lock()
		specifier, changed, err := h.specifier, h.changed, h.err
		h.mu.Unlock()
		var due <-chan time.Time
		if len(specifier.GetClusterHealthChecks()) > 0 {
			due = time.After(specifier.GetInterval().AsDuration())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-due:
			err = errors.Join(err, h.hold(specifier))
			e.Reports.Add(1)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// hold reports that all holds.
func (h *Health) hold(specifier *healthv3.HealthCheckSpecifier) error {
	results := make([]Result, len(specifier.GetClusterHealthChecks()))
	for i := range results {
		results[i].Health = corev3.HealthStatus_HEALTHY
	}
	return h.Report(specifier, results...)
}
