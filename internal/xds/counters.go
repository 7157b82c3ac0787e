package xds

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Counters are what a rollout needs of a proxy's statistics: what was added since
// the last event, and gauges as they are. A proxy sends them each
// stats_flush_interval of its bootstrap.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/stats
type Counters struct {
	At time.Time // when the newest flush came in
	// Clock is when that was by the proxy's own clock; zero where it does not say.
	Clock time.Time
	// Requests were completed by its listeners, and Errors are those of them that
	// were answered 5xx. The shadow's and the admin's are not counted.
	Requests, Errors uint64
	// Redirects and Denials are those that were answered 3xx and 4xx, by whomever, and
	// ProbeRedirects and ProbeDenials the probes among them, counted as they end.
	Redirects, Denials           uint64
	ProbeRedirects, ProbeDenials uint64
	// Probes are the requests among these that the proxy sent itself, by a plan.
	// They are counted as they begin, the others as they end.
	// ProbesFailed are those of them that were not answered as expected.
	Probes, ProbesFailed uint64
	// ProbesLost says that probes were taken back, and what they counted last may be lacking: of
	// the answers some are to probes, though Probes, ProbeRedirects and ProbeDenials do not have them.
	ProbesLost bool
	// Begun are the requests of the same listeners that began, each counted before anything
	// else of it, and Active those that have not ended; an answer that streams is both.
	Begun  uint64 // downstream_rq_total
	Active int    // downstream_rq_active
	// Routed are the requests that reached a router, and ServiceErrors those that the
	// service behind it answered 5xx, or that could not be brought to it (and direct
	// responses of any status): the others that were answered 5xx a filter answered so,
	// one whose VM has crashed say.
	Routed, ServiceErrors uint64
	// ServiceDenials are the requests that the service behind answered 4xx.
	ServiceDenials uint64 // cluster.….external.upstream_rq_4xx, and internal
	// Unanswered are those that were given up while the service had them, or was yet to have
	// them: by a user, or a probe, for which it was too slow, say.
	Unanswered  uint64 // upstream_cx_destroy_local_with_active_rq (HTTP/1), upstream_rq_tx_reset (HTTP/2), upstream_rq_cancelled
	Workers     int    // server.concurrency; 0 where no flush has said yet
	VMs         int    // wasm.envoy.wasm.runtime.v8.active
	Warming     int    // listener_manager.total_listeners_warming
	ConfigFails uint64 // extension_config_discovery.….config_fail
	// Crashes are the requests that found their VM crashed, and what was tried then:
	// wasm.….vm_reload_success, _failure and _backoff. Only FAIL_RELOAD counts these;
	// a crash under FAIL_CLOSED or FAIL_OPEN changes no statistic of Wasm's, and
	// shows in FilterErrors (tried on Envoy 1.40.0).
	Crashes uint64
	// Bytes are those that its listeners sent, in answers and else: downstream_cx_tx_bytes_total.
	Bytes uint64
	Times Times
	// Named are statistics that Server.Count named; nil for none.
	Named map[string]Named
}

// maxCount is the most that a flush is taken to count of a thing. A proxy that says more, or
// says it in many pieces, has that for its figure: no sum of such figures overflows.
const maxCount = 1 << 53

// sum adds figures of several flushes.
func sum(a, b uint64) uint64 { return min(a+b, 4*maxCount) }

// Times are how long requests took, downstream_rq_time, where the metrics service sends
// summaries: the sums of medians and of 99th percentiles, in milliseconds, each as many times
// as there were requests.
type Times struct {
	Requests      uint64
	Medians, P99s float64
}

func (t *Times) add(u Times) {
	t.Requests = sum(t.Requests, u.Requests)
	t.Medians += u.Medians
	t.P99s += u.P99s
}

// Named is a statistic: what was added to a counter, or the value of a gauge.
type Named struct {
	Value uint64
	Gauge bool
}

// FilterErrors are the requests that a filter answered 5xx. Where requests of two
// flushes are mixed, or a request is counted among the service's twice, it is too few.
func (c *Counters) FilterErrors() uint64 {
	unrouted, own := c.Requests-min(c.Routed, c.Requests), c.Errors-min(c.ServiceErrors, c.Errors)
	return min(unrouted, own)
}

// add takes in a later flush. Gauges that it does not have stay.
func (c *Counters) add(f *flush) {
	c.Requests += f.counts[statRequest] + f.counts[statRedirect] + f.counts[statDenial] + f.counts[statError]
	c.Redirects += f.counts[statRedirect]
	c.Denials += f.counts[statDenial]
	c.ProbeRedirects += f.counts[statProbeRedirect]
	c.ProbeDenials += f.counts[statProbeDenial]
	c.Errors += f.counts[statError]
	c.Begun += f.counts[statBegun]
	c.Probes += f.counts[statProbe]
	c.ProbesFailed += f.counts[statProbeFailed]
	c.ConfigFails += f.counts[statConfigFail]
	c.Crashes += f.counts[statCrash]
	c.Routed += f.counts[statRouted]
	c.ServiceErrors += f.counts[statServiceError]
	c.ServiceDenials += f.counts[statServiceDenial]
	c.Unanswered += f.counts[statUnanswered]
	c.Named = f.named
	c.Bytes += f.counts[statBytes]
	c.Times.add(f.times)
	if f.seen[statWorkers] {
		c.Workers = int(f.counts[statWorkers])
	}
	if f.seen[statVMs] {
		c.VMs = int(f.counts[statVMs])
	}
	if f.seen[statWarming] {
		c.Warming = int(f.counts[statWarming])
	}
	if f.seen[statActive] {
		c.Active = int(f.counts[statActive])
	}
}

// A stat is what a metric counts.
type stat int

const (
	statOther stat = iota
	statRequest
	statError
	statProbe
	statProbeFailed
	statWorkers
	statVMs
	statWarming
	statConfigFail
	statCrash
	statRouted
	statServiceError
	statServiceDenial
	statUnanswered
	statBegun
	statActive
	statRedirect
	statDenial
	statProbeRedirect
	statProbeDenial
	statBytes
	statTime
	stats
)

// statOf tells by its name, most of which begin with another letter.
func statOf(name []byte) stat {
	switch {
	case bytes.HasPrefix(name, []byte("http.")):
		return responseOf(name[len("http."):])
	case bytes.HasPrefix(name, []byte("cluster.")) && (bytes.HasSuffix(name, []byte(".external.upstream_rq_5xx")) ||
		bytes.HasSuffix(name, []byte(".internal.upstream_rq_5xx"))): // each answer is one of these
		return statServiceError
	case bytes.HasPrefix(name, []byte("cluster.")) && !bytes.HasPrefix(name, []byte("cluster."+fleet.ServerCluster+".")) &&
		(bytes.HasSuffix(name, []byte(".external.upstream_rq_4xx")) || bytes.HasSuffix(name, []byte(".internal.upstream_rq_4xx"))):
		return statServiceDenial
	case bytes.HasPrefix(name, []byte("cluster.")) && !bytes.HasPrefix(name, []byte("cluster."+fleet.ServerCluster+".")) &&
		(bytes.HasSuffix(name, []byte(".upstream_cx_destroy_local_with_active_rq")) || bytes.HasSuffix(name, []byte(".upstream_rq_tx_reset")) || bytes.HasSuffix(name, []byte(".upstream_rq_cancelled"))):
		return statUnanswered
	case bytes.HasPrefix(name, []byte("cluster."+probePrefix)) && bytes.HasSuffix(name, []byte(".health_check.attempt")):
		return statProbe
	case bytes.HasPrefix(name, []byte("cluster."+probePrefix)) && bytes.HasSuffix(name, []byte(".health_check.failure")):
		return statProbeFailed
	case bytes.HasPrefix(name, []byte("cluster."+probePrefix+"3xx/")) && bytes.HasSuffix(name, []byte(".health_check.success")):
		return statProbeRedirect
	case bytes.HasPrefix(name, []byte("cluster."+probePrefix+"4xx/")) && bytes.HasSuffix(name, []byte(".health_check.success")):
		return statProbeDenial
	case string(name) == "server.concurrency":
		return statWorkers
	case string(name) == "wasm.envoy.wasm.runtime.v8.active":
		return statVMs
	case string(name) == "listener_manager.total_listeners_warming":
		return statWarming
	case bytes.HasPrefix(name, []byte("extension_config_discovery.")) && bytes.HasSuffix(name, []byte(".config_fail")):
		return statConfigFail
	case bytes.HasPrefix(name, []byte("wasm.")) && (bytes.HasSuffix(name, []byte(".vm_reload_success")) ||
		bytes.HasSuffix(name, []byte(".vm_reload_failure")) || bytes.HasSuffix(name, []byte(".vm_reload_backoff"))):
		return statCrash
	}
	return statOther
}

// responseOf knows PREFIX.downstream_rq_2xx and its like, and what a router counts.
func responseOf(name []byte) stat {
	dot := bytes.LastIndexByte(name, '.')
	if dot < 0 || bytes.HasPrefix(name, []byte(snapshot.ShadowStatPrefix)) {
		return statOther
	}
	switch prefix := string(name[:dot]); prefix {
	case "admin", "async-client": // requests of Envoy's own
		return statOther
	}
	switch last := string(name[dot+1:]); last {
	case "downstream_rq_5xx":
		return statError
	case "downstream_rq_1xx", "downstream_rq_2xx":
		return statRequest
	case "downstream_rq_3xx":
		return statRedirect
	case "downstream_rq_4xx":
		return statDenial
	case "downstream_rq_total":
		return statBegun
	case "downstream_rq_active":
		return statActive
	case "downstream_cx_tx_bytes_total":
		return statBytes
	case "downstream_rq_time":
		return statTime
	case "rq_total":
		return statRouted
	case "rq_direct_response", "no_cluster":
		return statServiceError
	}
	return statOther
}

// Field numbers of https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto:
// of a MetricFamily, of a Metric, and of a Gauge or a Counter.
const (
	familyName    = 1
	familyMetric  = 4
	metricGauge   = 2
	metricCounter = 3
	metricSummary = 4
	metricTime    = 6 // in milliseconds since 1970
	metricValue   = 1
)

// family counts one metric of a flush. The name comes first; unless it is one of
// those that matter the rest is not looked at.
func (f *flush) family(b []byte) error {
	s, name := statOther, ""
	return fields(b, func(n protowire.Number, value []byte) error {
		switch n {
		case familyName:
			if name = f.names[string(value)]; name == "" {
				if s = statOf(value); s == statOther {
					return errEnough
				}
				break
			}
			s = statOf(value)
		case familyMetric:
			if s == statTime {
				return f.time(value)
			}
			v, gauge, err := f.valueOf(value)
			if err != nil {
				return err
			}
			if name != "" {
				f.name(name, Named{v, gauge})
			}
			f.counts[s] = min(f.counts[s]+v, maxCount)
			f.seen[s] = true
		default: // its type, its help
		}
		return nil
	})
}

// Field numbers of a Summary and of a Quantile.
const (
	summaryCount    = 1
	summaryQuantile = 3
	quantileOf      = 1
	quantileValue   = 2
)

// time takes in how long requests took. Of a histogram that was empty Envoy sends no numbers.
func (f *flush) time(metric []byte) error {
	var t Times
	median, p99 := math.NaN(), math.NaN()
	err := fields(metric, func(n protowire.Number, value []byte) error {
		if n != metricSummary {
			return nil
		}
		return fields(value, func(n protowire.Number, value []byte) error {
			switch n {
			case summaryCount:
				t.Requests, _ = protowire.ConsumeVarint(value)
			case summaryQuantile:
				switch of, v := quantile(value); of {
				case 0.5:
					median = v
				case 0.99:
					p99 = v
				}
			default: // their sum
			}
			return nil
		})
	})
	if n := float64(t.Requests); err == nil && median >= 0 && median < 1e12 && p99 >= 0 && p99 < 1e12 && n < 1e12 {
		t.Medians, t.P99s = n*median, n*p99
		f.times.add(t)
	}
	return err
}

func quantile(b []byte) (of, value float64) {
	of, value = math.NaN(), math.NaN()
	_ = fields(b, func(n protowire.Number, field []byte) error { // what can't be read is no number
		bits, size := protowire.ConsumeFixed64(field)
		switch {
		case size < 0:
		case n == quantileOf:
			of = math.Float64frombits(bits)
		case n == quantileValue:
			value = math.Float64frombits(bits)
		}
		return nil
	})
	return of, value
}

func (f *flush) name(name string, value Named) {
	if f.named == nil {
		f.named = map[string]Named{}
	}
	f.named[name] = value
}

// valueOf is the value of a counter or a gauge: a double in a message of its own. When
// it had that is noted.
func (f *flush) valueOf(metric []byte) (v uint64, gauge bool, err error) {
	err = fields(metric, func(n protowire.Number, value []byte) error {
		if n == metricTime {
			if ms, size := protowire.ConsumeVarint(value); size > 0 && ms > 0 && ms < 1<<47 {
				f.clock = time.UnixMilli(int64(ms))
			}
		}
		if n != metricGauge && n != metricCounter {
			return nil
		}
		gauge = n == metricGauge
		return fields(value, func(n protowire.Number, value []byte) error {
			bits, size := protowire.ConsumeFixed64(value)
			if n != metricValue || size < 0 {
				return nil
			}
			number := math.Float64frombits(bits)
			if !(number >= 0 && number < maxCount) {
				return fmt.Errorf("a metric's value is %v", number)
			}
			v = uint64(number)
			return errEnough
		})
	})
	return v, gauge, err
}
