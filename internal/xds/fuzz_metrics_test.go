package xds

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// spoken is a stream on which a client sends some messages, as bytes, and then no more.
type spoken struct {
	grpc.ServerStream
	ctx      context.Context
	messages [][]byte
	got      []any
}

func (s *spoken) Context() context.Context { return s.ctx }
func (s *spoken) SendMsg(m any) error      { s.got = append(s.got, m); return nil }
func (s *spoken) RecvMsg(m any) error {
	if len(s.messages) == 0 {
		return io.EOF
	}
	b := s.messages[0]
	s.messages = s.messages[1:]
	return newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, m)
}

// messagesOf cuts what the fuzzer makes: each is behind its length.
func messagesOf(b []byte) (out [][]byte) {
	for len(b) > 0 && len(out) < 64 {
		message, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return append(out, b)
		}
		out, b = append(out, message), b[n:]
	}
	return out
}

func joined(messages ...[]byte) (out []byte) {
	for _, m := range messages {
		out = protowire.AppendBytes(out, m)
	}
	return out
}

// Whatever a proxy sends to the metrics service, what is told of it is the node's that the stream
// began with, never more than what the messages have, and figures that can be summed up, compared
// and written.
func FuzzMetrics(f *testing.F) {
	first := func(id string, metrics []byte) []byte {
		b, err := proto.Marshal(&metricsv3.StreamMetricsMessage{Identifier: &metricsv3.StreamMetricsMessage_Identifier{Node: evident(id)}})
		if err != nil {
			f.Fatal(err)
		}
		return append(b, metrics...)
	}
	large := marshal(f, xdstest.Counter("http.a.downstream_rq_5xx", 1<<53-1), xdstest.Gauge("server.concurrency", 1<<53-1))
	f.Add(joined(first("a", nil), brief(f), brief(f)))
	f.Add(joined(first("a", nil), first("b", nil)))
	f.Add(joined(first("", brief(f))))
	f.Add(joined(first("a", slices.Concat(large, large)), large))
	f.Add(joined(first("a", timed(f, math.Inf(1)))))
	f.Add(joined(first("a", timed(f, math.NaN())), timed(f, 1e300), timed(f, 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		messages := messagesOf(b)
		s := NewServer(slog.New(slog.DiscardHandler), Limits{})
		s.Count([]string{"server.memory_allocated", "http.a.downstream_rq_4xx"})
		stream := &spoken{ctx: t.Context(), messages: messages}
		_ = s.StreamMetrics(&grpc.GenericServerStream[metricsv3.StreamMetricsMessage, metricsv3.StreamMetricsResponse]{ServerStream: stream})
		if n := s.Stats().Proxies; n != 0 || s.metrics != 0 {
			t.Errorf("%d proxies, %d streams are there when it has ended", n, s.metrics)
		}
		events := s.Events()
		if len(events) > 1 {
			t.Fatalf("%d events: they are to be merged", len(events))
		}
		for _, e := range events {
			if e.Kind != Counted || e.ID() == "" || e.Node.GetExtensions() != nil {
				t.Errorf("%+v", e)
			}
			countable(t, &e.Counters, len(b))
		}
	})
}

// brief is a flush of a real Envoy, as far as it is counted.
func brief(t testing.TB) []byte {
	t.Helper()
	var m metricsv3.StreamMetricsMessage
	if err := proto.Unmarshal(realFlush, &m); err != nil {
		t.Fatal(err)
	}
	return marshal(t, slices.DeleteFunc(m.GetEnvoyMetrics(), func(family *dto.MetricFamily) bool { return statOf([]byte(family.GetName())) == statOther })...)
}

// timed has a summary of times with some value.
func timed(t testing.TB, value float64) []byte {
	t.Helper()
	quantile := func(of float64) (b []byte) {
		b = protowire.AppendTag(nil, quantileOf, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, math.Float64bits(of))
		b = protowire.AppendTag(b, quantileValue, protowire.Fixed64Type)
		return protowire.AppendFixed64(b, math.Float64bits(value))
	}
	summary := protowire.AppendVarint(protowire.AppendTag(nil, summaryCount, protowire.VarintType), 3)
	for _, of := range []float64{0.5, 0.99} {
		summary = protowire.AppendBytes(protowire.AppendTag(summary, summaryQuantile, protowire.BytesType), quantile(of))
	}
	metric := protowire.AppendBytes(protowire.AppendTag(nil, metricSummary, protowire.BytesType), summary)
	family := protowire.AppendBytes(protowire.AppendTag(nil, familyName, protowire.BytesType), []byte("http.a.downstream_rq_time"))
	family = protowire.AppendBytes(protowire.AppendTag(family, familyMetric, protowire.BytesType), metric)
	return protowire.AppendBytes(protowire.AppendTag(nil, flushMetrics, protowire.BytesType), family)
}

// countable holds that counters are figures. bytes is how much was said.
func countable(t *testing.T, c *Counters, bytes int) {
	t.Helper()
	if _, err := json.Marshal(c); err != nil { // the state is written so
		t.Errorf("%+v: %v", c, err)
	}
	for _, n := range []uint64{c.Requests, c.Errors, c.Routed, c.ServiceErrors, c.Unanswered, c.Begun, c.Probes, c.Bytes, c.Redirects, c.Denials} {
		if n > 4*maxCount {
			t.Errorf("counted %d: it may not be added to another", n)
		}
	}
	if min(c.Workers, c.VMs, c.Active) < 0 || max(c.Workers, c.VMs, c.Active) > maxCount {
		t.Errorf("%d workers, %d VMs, %d requests at once", c.Workers, c.VMs, c.Active)
	}
	if c.FilterErrors() > c.Requests || c.Errors > c.Requests || c.Redirects > c.Requests || c.Denials > c.Requests {
		t.Errorf("more of a kind than of all: %+v", c)
	}
	if c.Clock.Before(time.Time{}) || len(c.Named) > 2 || bytes == 0 {
		t.Errorf("%+v of %d bytes", c, bytes)
	}
	m := c.Times
	if math.IsNaN(m.Medians) || m.Medians < 0 || m.Medians > float64(m.Requests)*1e12 || !(m.P99s >= 0 && m.P99s <= float64(m.Requests)*1e12) {
		t.Errorf("times %+v", m)
	}
}

// What is counted of a message is what a decoder finds in it.
func FuzzScanAsDecoded(f *testing.F) {
	f.Add(brief(f))
	f.Add(marshal(f, xdstest.Counter("http.a.downstream_rq_2xx", 1), xdstest.Counter("http.a.downstream_rq_5xx", 2), xdstest.Gauge("server.concurrency", 2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m metricsv3.StreamMetricsMessage
		if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, &m) != nil {
			return
		}
		for _, family := range m.GetEnvoyMetrics() { // as a proxy sends them: one figure each, of one kind
			if len(family.GetMetric()) != 1 || family.GetMetric()[0].GetCounter() != nil && family.GetMetric()[0].GetGauge() != nil {
				return
			}
		}
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&m)
		if err != nil {
			return
		}
		var scanned flush
		if scanned.read(b) != nil {
			return
		}
		var total, workers float64
		for _, family := range m.GetEnvoyMetrics() {
			switch metric := family.GetMetric()[0]; {
			case statOf([]byte(family.GetName())) == statRequest:
				total += math.Trunc(metric.GetCounter().GetValue() + metric.GetGauge().GetValue())
			case family.GetName() == "server.concurrency":
				workers += math.Trunc(metric.GetCounter().GetValue() + metric.GetGauge().GetValue())
			}
		}
		if got := scanned.counts[statRequest]; got != uint64(min(total, maxCount)) {
			t.Errorf("%d requests are counted of %v", got, total)
		}
		if got := scanned.counts[statWorkers]; got != uint64(min(workers, maxCount)) {
			t.Errorf("%d workers are counted of %v", got, workers)
		}
	})
}
