package xds

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// evident is a node whose bootstrap is the server's.
func evident(id string) *corev3.Node {
	node := xdstest.Node(id, "edge", nil)
	node.Extensions = []*corev3.Extension{{Name: "router"}}
	node.Metadata.Fields["waxwing"] = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
		"evidence": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("metrics")}}),
	}})
	return node
}

func (h *harness) metrics(node *corev3.Node) *xdstest.Metrics {
	h.t.Helper()
	m, err := xdstest.OpenMetrics(h.ctx, h.conn, node)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(m.Close)
	return m
}

func (h *harness) flush(m *xdstest.Metrics, families ...*dto.MetricFamily) {
	h.t.Helper()
	if err := m.Flush(families...); err != nil {
		h.t.Fatal(err)
	}
}

// Counters add up until they are taken; gauges are the newest, and stay.
func TestCounted(t *testing.T) {
	h := serve(t, Limits{})
	m := h.metrics(evident("a"))
	const ok, bad = "http.ingress.downstream_rq_2xx", "http.ingress.downstream_rq_5xx"
	h.flush(m, xdstest.Counter(ok, 1), xdstest.Gauge("server.concurrency", 2), xdstest.Gauge("wasm.envoy.wasm.runtime.v8.active", 8))
	e := h.expect(Counted, "a")
	if c := e.Counters; c.Requests != 1 || c.Errors != 0 || c.Workers != 2 || c.VMs != 8 || c.At.IsZero() || e.Node.GetExtensions() != nil {
		t.Errorf("%+v", e)
	}
	h.flush(m, xdstest.Counter(ok, 2), xdstest.Counter(bad, 1), xdstest.Gauge("wasm.envoy.wasm.runtime.v8.active", 6))
	h.flush(m, xdstest.Counter(ok, 3), xdstest.Counter(bad, 1))
	if err := m.End(); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	if c := h.expect(Counted, "a").Counters; c.Requests != 7 || c.Errors != 2 || c.Workers != 2 || c.VMs != 6 {
		t.Errorf("%+v", c)
	}
	h.eventually(func() bool { return h.remembered() == 0 })
}

// A flush says what the proxy's clock was.
func TestClockOfAProxy(t *testing.T) {
	h := serve(t, Limits{})
	m := h.metrics(evident("a"))
	requests := xdstest.Counter("http.ingress.downstream_rq_2xx", 1)
	at := time.Date(2020, 2, 3, 4, 5, 6, 7e6, time.UTC)
	requests.Metric[0].TimestampMs = proto.Int64(at.UnixMilli())
	h.flush(m, requests)
	if c := h.expect(Counted, "a").Counters; !c.Clock.Equal(at) || c.Requests != 1 {
		t.Errorf("%+v", c)
	}
	requests.Metric[0].TimestampMs = nil
	h.flush(m, requests)
	if c := h.expect(Counted, "a").Counters; !c.Clock.IsZero() {
		t.Errorf("%+v", c)
	}
}

// Counters may be totals, where the bootstrap is not the server's.
func TestTotalsAreNotCounted(t *testing.T) {
	h := serve(t, Limits{})
	m := h.metrics(xdstest.Node("a", "edge", nil))
	h.flush(m, xdstest.Counter("http.ingress.downstream_rq_2xx", 1e9))
	if err := m.End(); err != nil {
		t.Fatal(err)
	}
	if events := h.Events(); len(events) > 0 {
		t.Errorf("%+v", events)
	}
}

func TestMetricsIdentity(t *testing.T) {
	h := serve(t, Limits{MaxStreams: 1})
	m := h.metrics(evident("a"))
	h.flush(m)
	h.expect(Counted, "a")
	m.Become(evident("b"))
	h.flush(m)
	if err := m.End(); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), `can't become that of "b"`) {
		t.Errorf("it ended with %v", err)
	}
	nobody := h.metrics(evident(""))
	h.flush(nobody)
	if err := nobody.End(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without an id it ended with %v", err)
	}
	c := h.metrics(evident("c"))
	h.flush(c)
	h.expect(Counted, "c")
	if err := h.metrics(evident("d")).End(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one stream too many ended with %v", err)
	}
}

// The status shows what a proxy gives evidence by.
func TestEvidenceInStatus(t *testing.T) {
	h := serve(t, Limits{})
	p := h.proxy("a", false, nil)
	h.connect(p)
	h.expect(Connected, "a")
	if s := h.Proxies()[0]; s.Health || s.Metrics || !s.HealthAt.IsZero() || !s.MetricsAt.IsZero() {
		t.Errorf("%+v", s)
	}
	health := h.health("a")
	h.expect(HealthOpened, "a")
	h.flush(h.metrics(evident("a")))
	h.expect(Counted, "a")
	h.report(health, h.told(health, 1))
	h.eventually(func() bool {
		s := h.Proxies()[0]
		return s.Health && s.Metrics && !s.HealthAt.IsZero() && !s.MetricsAt.IsZero()
	})
}

// What a flush costs all the way, with the part of a client in the same process.
func BenchmarkStreamMetrics(b *testing.B) {
	h := serve(b, Limits{})
	m, err := xdstest.OpenMetrics(h.ctx, h.conn, evident("a"))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	if err := m.Flush(); err != nil { // says who it is
		b.Fatal(err)
	}
	b.SetBytes(int64(len(realFlush)))
	for b.Loop() {
		if err := m.FlushBytes(realFlush); err != nil {
			b.Fatal(err)
		}
	}
	if err := m.End(); err != nil {
		b.Fatal(err)
	}
}

// Statistics that somebody has named are told as they are, also those that count otherwise, too.
func TestNamedStatistics(t *testing.T) {
	h := serve(t, Limits{})
	h.Count([]string{"http.ingress.downstream_rq_4xx", "server.memory_allocated", "cluster.echo.upstream_rq_retry"})
	m := h.metrics(evident("a"))
	h.flush(m, xdstest.Counter("http.ingress.downstream_rq_4xx", 3), xdstest.Gauge("server.memory_allocated", 700), xdstest.Counter("cluster.echo.upstream_rq_timeout", 9))
	h.flush(m, xdstest.Counter("http.ingress.downstream_rq_4xx", 4), xdstest.Gauge("server.memory_allocated", 600))
	if err := m.End(); err != nil {
		t.Fatal(err)
	}
	h.eventually(func() bool { return h.remembered() == 0 })
	c := h.expect(Counted, "a").Counters
	want := map[string]Named{"http.ingress.downstream_rq_4xx": {Value: 7}, "server.memory_allocated": {Value: 600, Gauge: true}}
	if !reflect.DeepEqual(c.Named, want) || c.Denials != 7 {
		t.Errorf("%+v", c)
	}
}

// The flushes after probes of a real listener have ended may lack what these counted last, and so may
// those of a stream that is new. Probes of a shadow are not counted among users' requests.
func TestProbesThatEndAreLost(t *testing.T) {
	h := serve(t, Limits{})
	m, p := h.metrics(evident("a")), h.health("a")
	h.expect(HealthOpened, "a")
	h.told(p, 1)
	lost := func(when string, want ...bool) {
		t.Helper()
		for i, want := range want {
			h.flush(m, xdstest.Counter("http.ingress.downstream_rq_4xx", 1))
			if c := h.expect(Counted, "a").Counters; c.ProbesLost != want {
				t.Errorf("%s, flush %d: lost %t, want %t", when, i, c.ProbesLost, want)
			}
		}
	}
	lost("when the streams are open", true, true, false)
	shadow := plan("r1", "x")
	shadow.ID.Through = ThroughShadow
	for i, c := range []struct {
		plan  *ProbePlan
		after []bool
	}{
		{shadow, []bool{false}}, {plan("r1", "x"), []bool{false}}, {plan("r2", "x"), []bool{true, true, false}},
		{nil, []bool{true, true, false}}, {shadow, []bool{false}}, {nil, []bool{false}},
	} {
		h.Probe("a", c.plan)
		h.told(p, i+2)
		lost(fmt.Sprint("plan ", i), c.after...)
	}
}
