package xdstest

import (
	"context"
	"fmt"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that bytesCodec is built on
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
)

// Metrics is the metrics sink of a simulated proxy: one stream.
type Metrics struct {
	node   *corev3.Node // nil once it was sent
	stream metricsv3.MetricsService_StreamMetricsClient
	cancel context.CancelFunc
}

// OpenMetrics opens a stream. Nothing is sent before the first flush.
func OpenMetrics(ctx context.Context, conn grpc.ClientConnInterface, node *corev3.Node) (*Metrics, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := metricsv3.NewMetricsServiceClient(conn).StreamMetrics(ctx,
		grpc.ForceCodecV2(bytesCodec{encoding.GetCodecV2("proto")}), grpc.WaitForReady(true))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("metrics of %q: %w", node.GetId(), err)
	}
	return &Metrics{node: node, stream: stream, cancel: cancel}, nil
}

// Flush sends metrics; the first says whose they are.
func (m *Metrics) Flush(families ...*dto.MetricFamily) error {
	message := &metricsv3.StreamMetricsMessage{EnvoyMetrics: families}
	if m.node != nil {
		message.Identifier = &metricsv3.StreamMetricsMessage_Identifier{Node: m.node}
		m.node = nil
	}
	return m.stream.Send(message)
}

// FlushBytes sends what was marshalled before, for benchmarks.
func (m *Metrics) FlushBytes(b []byte) error { return m.stream.SendMsg(b) }

// bytesCodec is gRPC's, and takes bytes as they are.
type bytesCodec struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (c bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Become makes the next flush say that it is another node's.
func (m *Metrics) Become(node *corev3.Node) { m.node = node }

// Close ends the stream.
func (m *Metrics) Close() { m.cancel() }

// End closes the proxy's side of the stream and returns how the server ended its own.
func (m *Metrics) End() error {
	_, err := m.stream.CloseAndRecv()
	return err
}

// Counter makes a counter; its value is what was added since the last flush.
func Counter(name string, value float64) *dto.MetricFamily {
	return &dto.MetricFamily{
		Name: &name, Type: dto.MetricType_COUNTER.Enum(),
		Metric: []*dto.Metric{{Counter: &dto.Counter{Value: &value}, TimestampMs: proto.Int64(1)}},
	}
}

// Gauge makes a gauge.
func Gauge(name string, value float64) *dto.MetricFamily {
	return &dto.MetricFamily{
		Name: &name, Type: dto.MetricType_GAUGE.Enum(),
		Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: &value}, TimestampMs: proto.Int64(1)}},
	}
}
