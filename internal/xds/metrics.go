package xds

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	dto "github.com/prometheus/client_model/go"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Counters are what a rollout needs of a proxy's statistics, of one flush.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/stats
type Counters struct {
	At          time.Time
	Requests    uint64 // completed by its listeners, the shadow's and the admin's not counted
	Errors      uint64 // those answered 5xx
	Workers     int    // server.concurrency; 0 where the flush did not say
	VMs         int    // wasm.envoy.wasm.runtime.v8.active
	ConfigFails uint64 // extension_config_discovery.….config_fail
}

var responses = regexp.MustCompile(`^http\.(.+)\.downstream_rq_([1-5])xx$`)

// take adds a metric, if it is one of those.
func (c *Counters) take(family *dto.MetricFamily) {
	name := family.GetName()
	counter, gauge := uint64(0), 0
	for _, m := range family.GetMetric() {
		counter += uint64(m.GetCounter().GetValue())
		gauge += int(m.GetGauge().GetValue())
	}
	switch {
	case name == "server.concurrency":
		c.Workers = gauge
	case name == "wasm.envoy.wasm.runtime.v8.active":
		c.VMs = gauge
	case strings.HasPrefix(name, "extension_config_discovery.") && strings.HasSuffix(name, ".config_fail"):
		c.ConfigFails += counter
	case strings.HasPrefix(name, "http."):
		m := responses.FindStringSubmatch(name)
		if m == nil || m[1] == "admin" || m[1] == snapshot.ShadowStatPrefix {
			return
		}
		c.Requests += counter
		if m[2] == "5" {
			c.Errors += counter
		}
	}
}

// StreamMetrics implements the metrics service: proxies push their statistics, the
// counters as what was added since the flush before.
func (s *Server) StreamMetrics(stream metricsv3.MetricsService_StreamMetricsServer) error {
	node := ""
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if id := m.GetIdentifier().GetNode(); id != nil && node == "" {
			slim(id)
			if node = id.GetId(); node == "" {
				return status.Error(codes.InvalidArgument, "the first message of a stream must have a node with an id")
			}
			s.metricsChanged(node, 1)
			defer s.metricsChanged(node, -1)
			defer func() { s.log.Debug("no more metrics", "node", node) }()
		}
		c := Counters{At: time.Now()}
		for _, family := range m.GetEnvoyMetrics() {
			c.take(family)
		}
		s.events.put(Event{Kind: Counted, NodeID: node, Counters: c})
	}
}

func (s *Server) metricsChanged(node string, by int) {
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	if s.metrics[node] += by; s.metrics[node] == 0 {
		delete(s.metrics, node)
	}
}

func (s *Server) metricsOpen(node string) bool {
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	return s.metrics[node] > 0
}
