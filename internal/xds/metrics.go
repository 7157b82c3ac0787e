package xds

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A flush is what is read of a StreamMetricsMessage, of which a proxy sends 11 KB
// a second: a dozen of some hundred metrics. The codec skips the others where
// they lie.
type flush struct {
	node   *corev3.Node // in a stream's first message only
	counts [stats]uint64
	seen   [stats]bool
	clock  time.Time // of the proxy, when it took them; zero where it does not say

	names map[string]string // which others matter, each by itself
	named map[string]Named  // of these, those that it has
	times Times
}

// GetNode is the node that a flush is from, nil for that of the flush before.
func (f *flush) GetNode() *corev3.Node { return f.node }

var (
	flushIdentifier = number(&metricsv3.StreamMetricsMessage{}, "identifier")
	flushMetrics    = number(&metricsv3.StreamMetricsMessage{}, "envoy_metrics")
)

// Unmarshal implements encoding.CodecV2: a flush is scanned, all else decoded.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*flush)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	if err := f.read(buffer.ReadOnlyData()); err != nil {
		return fmt.Errorf("reading a proxy's metrics: %w", err)
	}
	return nil
}

func (f *flush) read(b []byte) error {
	return fields(b, func(n protowire.Number, value []byte) error {
		switch n {
		case flushMetrics:
			return f.family(value)
		case flushIdentifier:
			var id metricsv3.StreamMetricsMessage_Identifier
			if err := proto.Unmarshal(value, &id); err != nil {
				return err
			}
			f.node = id.GetNode()
		default: // none that is known
		}
		return nil
	})
}

// errEnough ends fields without an error.
var errEnough = errors.New("enough")

// fields calls take for each field of a message, with its value without its length.
func fields(b []byte, take func(protowire.Number, []byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var value []byte
		if kind == protowire.BytesType {
			value, n = protowire.ConsumeBytes(b)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, b)
			value = b[:max(n, 0)]
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := take(number, value); err == errEnough { //nolint:errorlint // it is never wrapped, and asked for each metric
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// StreamMetrics implements the metrics service: proxies push their statistics, of
// counters what was added since the last flush.
func (s *Server) StreamMetrics(stream metricsv3.MetricsService_StreamMetricsServer) error {
	if err := s.enter(&s.metrics); err != nil {
		return err
	}
	defer s.exit(&s.metrics)
	var node *corev3.Node
	var p *proxy
	var latest Counters
	for {
		f := flush{names: s.named()}
		err := stream.RecvMsg(&f)
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&metricsv3.StreamMetricsResponse{})
		}
		if err != nil {
			return err
		}
		known := node
		if node, err = identify(known, f.node); err != nil {
			return err
		}
		if known == nil {
			p = s.metricsOpened(node)
			defer p.metricsClosed()
		}
		latest = p.counted(node, latest, &f)
	}
}

// counted tells of a flush, and returns it, for its gauges.
func (p *proxy) counted(node *corev3.Node, before Counters, f *flush) Counters {
	c := Counters{At: time.Now(), Clock: f.clock, Workers: before.Workers, VMs: before.VMs, Active: before.Active}
	c.add(f)
	p.mu.Lock()
	p.voices.metricsAt = c.At
	p.mu.Unlock()
	if _, deltas := fleet.EvidenceOf(node); deltas {
		p.server.events.merge(Event{Kind: Counted, Node: node, Counters: c}, mergeCounted)
	}
	return c
}

// mergeCounted adds up what was not taken yet.
func mergeCounted(older, newer Event) Event {
	sum := &newer.Counters
	sum.Requests += older.Counters.Requests
	sum.Errors += older.Counters.Errors
	sum.Redirects += older.Counters.Redirects
	sum.Denials += older.Counters.Denials
	sum.ProbeRedirects += older.Counters.ProbeRedirects
	sum.ProbeDenials += older.Counters.ProbeDenials
	sum.Probes += older.Counters.Probes
	sum.ProbesFailed += older.Counters.ProbesFailed
	sum.Begun += older.Counters.Begun
	sum.ConfigFails += older.Counters.ConfigFails
	sum.Crashes += older.Counters.Crashes
	sum.Routed += older.Counters.Routed
	sum.ServiceErrors += older.Counters.ServiceErrors
	sum.ServiceDenials += older.Counters.ServiceDenials
	sum.Unanswered += older.Counters.Unanswered
	sum.Bytes += older.Counters.Bytes
	sum.Times.add(older.Counters.Times)
	sum.Named = mergeNamed(older.Counters.Named, sum.Named)
	return newer
}

func mergeNamed(older, newer map[string]Named) map[string]Named {
	if len(older) == 0 {
		return newer
	}
	sum := maps.Clone(older)
	for name, n := range newer {
		if !n.Gauge {
			n.Value += sum[name].Value
		}
		sum[name] = n
	}
	return sum
}

// Count names statistics of proxies that are told as they are, beside those of Counters, by
// all proxies; counters and gauges only.
func (s *Server) Count(names []string) {
	set := map[string]string{}
	for _, name := range names {
		set[name] = name
	}
	s.names.Store(&set)
}

func (s *Server) named() map[string]string {
	if set := s.names.Load(); set != nil {
		return *set
	}
	return nil
}

func (s *Server) metricsOpened(node *corev3.Node) *proxy {
	if _, deltas := fleet.EvidenceOf(node); !deltas {
		s.log.Warn("this proxy's metrics are not counted: its node metadata does not say that they are the server's, as `xds bootstrap` prints it, so that they may be totals",
			"node", node.GetId())
	}
	p := s.rowOf(node, false) // locked
	defer p.mu.Unlock()
	p.voices.metrics++
	return p
}

func (p *proxy) metricsClosed() {
	defer p.server.forgetSome()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.voices.metrics--
	p.vacate()
}
