package xds

import (
	_ "embed"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// A flush of a real Envoy 1.40.0 with eight listeners and two probes, of 155
// metrics, while users got 200, 403 and 503 and a filter under FAIL_RELOAD crashed.
//
//go:embed testdata/flush.pb
var realFlush []byte

func scan(t testing.TB, b []byte) Counters {
	t.Helper()
	var f flush
	if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &f); err != nil {
		t.Fatal(err)
	}
	var c Counters
	c.add(&f)
	return c
}

// decoded counts the same, slowly.
func decoded(t testing.TB, b []byte) Counters {
	t.Helper()
	var m metricsv3.StreamMetricsMessage
	if err := proto.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	requests := regexp.MustCompile(`^http\.(.+)\.downstream_rq_([1-5])xx$`)
	ours := regexp.MustCompile(`^http\.(?:[^aw]|w[^a]).*\.downstream_rq_(total|active)$`)
	var c Counters
	for _, family := range m.GetEnvoyMetrics() {
		name, n := family.GetName(), uint64(family.GetMetric()[0].GetCounter().GetValue())
		match := requests.FindStringSubmatch(name)
		switch {
		case ours.MatchString(name) && strings.HasSuffix(name, "total"):
			c.Begun += n
		case ours.MatchString(name):
			c.Active += int(family.GetMetric()[0].GetGauge().GetValue())
		case match != nil && match[1] != "admin" && !strings.HasPrefix(match[1], "waxwing_shadow"):
			c.Requests += n
			switch match[2] {
			case "5":
				c.Errors += n
			case "4":
				c.Denials += n
			case "3":
				c.Redirects += n
			}
		case regexp.MustCompile(`^http\.(.+)\.rq_total$`).MatchString(name) && !regexp.MustCompile(`^http\.(admin|async-client|waxwing_shadow.*)\.rq_total$`).MatchString(name):
			c.Routed += n
		case regexp.MustCompile(`^http\.(.+)\.(rq_direct_response|no_cluster)$`).MatchString(name) && !strings.HasPrefix(name, "http.waxwing_shadow"),
			regexp.MustCompile(`^cluster\.(.+)\.(in|ex)ternal\.upstream_rq_5xx$`).MatchString(name):
			c.ServiceErrors += n
		case regexp.MustCompile(`^cluster\.(.+)\.upstream_(cx_destroy_local_with_active_rq|rq_tx_reset|rq_cancelled)$`).MatchString(name) && !strings.HasPrefix(name, "cluster.waxwing."):
			c.Unanswered += n
		case regexp.MustCompile(`^http\.(ingress|p_.+|reload|[a-z]+)\.downstream_cx_tx_bytes_total$`).MatchString(name) && !regexp.MustCompile(`^http\.(admin|async-client|waxwing_shadow.*)\.`).MatchString(name):
			c.Bytes += n
		case regexp.MustCompile(`^http\..+\.downstream_rq_time$`).MatchString(name) && !regexp.MustCompile(`^http\.(admin|async-client|waxwing_shadow.*)\.`).MatchString(name):
			s := family.GetMetric()[0].GetSummary()
			for _, q := range s.GetQuantile() {
				if n := float64(s.GetSampleCount()); n > 0 && q.GetQuantile() == 0.5 {
					c.Times.Requests += s.GetSampleCount()
					c.Times.Medians += n * q.GetValue()
				} else if n > 0 && q.GetQuantile() == 0.99 {
					c.Times.P99s += n * q.GetValue()
				}
			}
		case regexp.MustCompile(`^cluster\.waxwing-probe/.*\.health_check\.attempt$`).MatchString(name):
			c.Probes += n
		case regexp.MustCompile(`^wasm\..+\.vm_reload_(success|failure|backoff)$`).MatchString(name):
			c.Crashes += n
		case regexp.MustCompile(`^extension_config_discovery\..+\.config_fail$`).MatchString(name):
			c.ConfigFails += n
		case name == "server.concurrency":
			c.Workers = int(family.GetMetric()[0].GetGauge().GetValue())
		case name == "wasm.envoy.wasm.runtime.v8.active":
			c.VMs = int(family.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return c
}

func TestScanOfARealFlush(t *testing.T) {
	want := Counters{Requests: 37, Errors: 12, Denials: 10, Probes: 19, Begun: 37, Routed: 31, ServiceErrors: 31, Workers: 2, VMs: 12, Crashes: 4, Bytes: 3604, Times: Times{37, 0, 30.299999999999997}}
	if got := scan(t, realFlush); !reflect.DeepEqual(got, want) {
		t.Errorf("scanned %+v, want %+v", got, want)
	}
	if got := decoded(t, realFlush); !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v, want %+v", got, want)
	}
}

func marshal(t testing.TB, families ...*dto.MetricFamily) []byte {
	t.Helper()
	b, err := proto.Marshal(&metricsv3.StreamMetricsMessage{EnvoyMetrics: families})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestScanNames(t *testing.T) {
	counter := xdstest.Counter
	b := marshal(t,
		counter("http.ingress.downstream_rq_1xx", 1), counter("http.a.b.downstream_rq_2xx", 2), counter("http.ingress.downstream_rq_5xx", 4),
		counter("extension_config_discovery.http_filter.auth.config_fail", 8), counter("wasm.auth.vm_reload_failure", 16),
		counter("cluster.waxwing-probe/x/live/1/0.health_check.attempt", 32), xdstest.Gauge("server.concurrency", 64),
		xdstest.Gauge("wasm.envoy.wasm.runtime.v8.active", 128),
		counter("http.ingress.downstream_rq_total", 256), xdstest.Gauge("http.ingress.downstream_rq_active", 512),
		// None of these counts.
		counter("http.admin.downstream_rq_2xx", 1e6), counter("http.waxwing_shadow.downstream_rq_5xx", 1e6),
		counter("http.waxwing_shadow_2.downstream_rq_2xx", 1e6), counter("http.ingress.downstream_rq_6xx", 1e6),
		counter("http.admin.downstream_rq_total", 1e6), xdstest.Gauge("http.waxwing_shadow.downstream_rq_active", 1e6), counter("http..downstream_rq_2x", 1e6), counter("http.downstream_rq_2xx", 1e6),
		counter("listener.0.0.0.0_80.http.ingress.downstream_rq_2xx", 1e6), counter("downstream_rq_2xx", 1e6), counter("http.", 1e6),
		counter("cluster.waxwing-shadow-probe/x/shadow/1/0.health_check.attempt", 1e6), counter("cluster.echo.health_check.attempt", 1e6),
		counter("cluster.waxwing-probe/x/live/1/0.health_check.success", 1e6), counter("", 1e6),
	)
	b = append(b, marshal(t, counter("cluster.echo.upstream_rq_tx_reset", 1024), counter("cluster.echo.upstream_rq_cancelled", 2048),
		counter("cluster.echo.upstream_cx_destroy_local_with_active_rq", 4096), counter("cluster.echo.upstream_cx_destroy_with_active_rq", 1e6),
		counter("http.ingress.downstream_rq_3xx", 8192), counter("http.ingress.downstream_rq_4xx", 16384),
		counter("cluster.waxwing-probe/3xx/x/live/1/0.health_check.success", 32768), counter("cluster.waxwing-probe/4xx/x/live/1/0.health_check.success", 65536),
		counter("cluster.waxwing-probe/4xx/x/live/1/0.health_check.passive_failure", 1e6), counter("cluster.waxwing-shadow-probe/4xx/x/0.health_check.success", 1e6),
		counter("cluster.waxwing.upstream_rq_tx_reset", 1e6), counter("cluster.echo.upstream_rq_rx_reset", 1e6))...)
	want := Counters{Unanswered: 7168, Requests: 24583, Redirects: 8192, Denials: 16384, ProbeRedirects: 32768, ProbeDenials: 65536, Errors: 4, ConfigFails: 8, Crashes: 16, Probes: 32, Workers: 64, VMs: 128, Begun: 256, Active: 512}
	if got := scan(t, b); !reflect.DeepEqual(got, want) {
		t.Errorf("scanned %+v, want %+v", got, want)
	}
}

func TestScanRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"cut short":      realFlush[:len(realFlush)-3],
		"negative":       marshal(t, xdstest.Counter("http.a.downstream_rq_2xx", -1)),
		"not a number":   marshal(t, xdstest.Counter("http.a.downstream_rq_2xx", math.NaN())),
		"not an integer": marshal(t, xdstest.Counter("http.a.downstream_rq_2xx", math.Inf(1))),
	} {
		if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &flush{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What no proxy sends must not end the server.
func FuzzScan(f *testing.F) {
	f.Add(realFlush)
	f.Add(marshal(f, xdstest.Counter("http.a.downstream_rq_2xx", 1), xdstest.Gauge("server.concurrency", 2)))
	f.Add(protowire.AppendTag(nil, 2, protowire.BytesType))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = (&flush{}).read(b) // most are errors
	})
}

func BenchmarkScan(b *testing.B) { benchmarkFlush(b, func() any { return &flush{} }) }

// What the scan saves.
func BenchmarkDecode(b *testing.B) {
	benchmarkFlush(b, func() any { return &metricsv3.StreamMetricsMessage{} })
}

// benchmarkFlush reads a real flush into a message.
func benchmarkFlush(b *testing.B, message func() any) {
	b.SetBytes(int64(len(realFlush)))
	b.ReportAllocs()
	data := mem.BufferSlice{mem.SliceBuffer(realFlush)}
	codec := newCodec()
	for b.Loop() {
		if err := codec.Unmarshal(data, message()); err != nil {
			b.Fatal(err)
		}
	}
}

// Who answered 5xx is told by what reached a router, and by what the service
// behind it answered.
func TestFilterErrors(t *testing.T) {
	for _, c := range []struct {
		what     string
		counters Counters
		want     uint64
	}{
		{"a filter crashes on each request", Counters{Requests: 6, Errors: 6}, 6},
		{"the service is down", Counters{Requests: 6, Errors: 6, Routed: 6, ServiceErrors: 6}, 0},
		{"a filter denies half, the service fails the rest", Counters{Requests: 6, Errors: 3, Routed: 3, ServiceErrors: 3}, 0},
		{"one worker's filter has crashed, the service fails a few", Counters{Requests: 20, Errors: 12, Routed: 10, ServiceErrors: 2}, 10},
		{"the router answers itself, and a filter denies", Counters{Requests: 6, Errors: 3, Routed: 3, ServiceErrors: 3}, 0},
		{"a request began in the flush before", Counters{Requests: 1, Errors: 1, ServiceErrors: 1}, 0},
		{"it ends in the next", Counters{Requests: 0, Routed: 3, ServiceErrors: 1}, 0},
	} {
		if got := c.counters.FilterErrors(); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}
