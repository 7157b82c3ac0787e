package xdstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
)

// Health is the health discovery of a simulated proxy. It takes what it is to ask
// as Envoy does, but asks nothing: a test says what it reports. What it was told
// outlives its streams.
type Health struct {
	node *corev3.Node

	mu        sync.Mutex
	specifier *healthv3.HealthCheckSpecifier
	taken     int           // specifiers that were another than the one before
	changed   chan struct{} // closed and replaced with each, and at the end of a stream
	reporting bool          // Envoy reports only once a stream brought something new
	err       error

	stream healthv3.HealthDiscoveryService_StreamHealthCheckClient
	cancel context.CancelFunc
	done   chan struct{}
}

// ErrSilent is what Report returns where Envoy would not report.
var ErrSilent = errors.New("an Envoy that was sent nothing new on this stream does not report")

// NewHealth makes one that is not connected.
func NewHealth(node *corev3.Node) *Health {
	return &Health{node: node, changed: make(chan struct{})}
}

// Connect opens a stream.
func (h *Health) Connect(ctx context.Context, conn grpc.ClientConnInterface) error {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := healthv3.NewHealthDiscoveryServiceClient(conn).StreamHealthCheck(ctx, grpc.WaitForReady(true))
	if err == nil {
		err = stream.Send(hello(h.node))
	}
	// That the stream has ended already is no error: receiving says how.
	if err != nil && !errors.Is(err, io.EOF) {
		cancel()
		return fmt.Errorf("health discovery of %q: %w", h.node.GetId(), err)
	}
	h.mu.Lock()
	h.stream, h.cancel, h.done, h.err, h.reporting = stream, cancel, make(chan struct{}), nil, false
	h.mu.Unlock()
	go h.run(stream, h.done)
	return nil
}

func hello(node *corev3.Node) *healthv3.HealthCheckRequestOrEndpointHealthResponse {
	return &healthv3.HealthCheckRequestOrEndpointHealthResponse{
		RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_HealthCheckRequest{
			HealthCheckRequest: &healthv3.HealthCheckRequest{Node: node},
		},
	}
}

// Become says on an open stream that it is another node.
func (h *Health) Become(node *corev3.Node) error { return h.stream.Send(hello(node)) }

// Close ends the stream and waits until that is done.
func (h *Health) Close() {
	if h.cancel != nil {
		h.cancel()
		<-h.done
	}
}

func (h *Health) run(stream healthv3.HealthDiscoveryService_StreamHealthCheckClient, done chan struct{}) {
	defer close(done)
	for {
		m, err := stream.Recv()
		h.mu.Lock()
		if err != nil {
			h.err = err
		} else if !proto.Equal(m, h.specifier) { // the same again Envoy takes no notice of
			h.specifier, h.reporting = m, true
			h.taken++
		}
		close(h.changed)
		h.changed = make(chan struct{})
		h.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Wait returns the specifier once n different ones have come in, over all streams.
func (h *Health) Wait(ctx context.Context, n int) (*healthv3.HealthCheckSpecifier, error) {
	for {
		h.mu.Lock()
		specifier, taken, changed, err := h.specifier, h.taken, h.changed, h.err
		h.mu.Unlock()
		switch {
		case taken >= n:
			return specifier, nil
		case err != nil:
			return nil, fmt.Errorf("health discovery of %q: %w", h.node.GetId(), err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("health discovery of %q: %w after %d specifiers", h.node.GetId(), ctx.Err(), taken)
		}
	}
}

// Ended waits for the end of the stream and returns why it ended.
func (h *Health) Ended() error {
	<-h.done
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// A Result is what is reported of a probe: its health, and the status of its last
// answer, 0 for none.
type Result struct {
	Health corev3.HealthStatus
	Status int
}

// Report reports results, in the order of the specifier's clusters.
func (h *Health) Report(of *healthv3.HealthCheckSpecifier, results ...Result) error {
	h.mu.Lock()
	stream, reporting := h.stream, h.reporting
	h.mu.Unlock()
	if !reporting {
		return ErrSilent
	}
	r := &healthv3.EndpointHealthResponse{}
	for i, result := range results {
		e := &healthv3.EndpointHealth{HealthStatus: result.Health, HealthMetadata: &structpb.Struct{}}
		if result.Status != 0 {
			e.HealthMetadata.Fields = map[string]*structpb.Value{"http_status_code": structpb.NewNumberValue(float64(result.Status))}
		}
		r.ClusterEndpointsHealth = append(r.ClusterEndpointsHealth, &healthv3.ClusterEndpointsHealth{
			ClusterName:             of.GetClusterHealthChecks()[i].GetClusterName(),
			LocalityEndpointsHealth: []*healthv3.LocalityEndpointsHealth{{EndpointsHealth: []*healthv3.EndpointHealth{e}}},
		})
	}
	return stream.Send(&healthv3.HealthCheckRequestOrEndpointHealthResponse{
		RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_EndpointHealthResponse{EndpointHealthResponse: r},
	})
}
