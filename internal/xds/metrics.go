package xds

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/quota"
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
	if data.Len() > largeRequest { // it may be ten times as much when it is decoded
		c.decoding <- struct{}{}
		defer func() { <-c.decoding }()
	}
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
	s.enter(&s.metrics)
	defer s.exit(&s.metrics)
	kept := keeping{client: quota.Of(stream)}
	defer kept.nothing()
	var node *corev3.Node
	var p *proxy
	var latest Counters
	m := &metricsStream{peer: peerOf(stream.Context()), lacks: lacking}
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
		if node, err = identify(&kept, known, f.node); err != nil {
			return err
		}
		if known == nil {
			p = s.metricsOpened(node, provenBy(stream.Context()), m)
			defer p.metricsClosed(m)
		}
		latest = p.counted(node, m, latest, &f)
	}
}

// counted tells of a flush, and returns it, for its gauges.
func (p *proxy) counted(node *corev3.Node, m *metricsStream, before Counters, f *flush) Counters {
	c := Counters{At: time.Now(), Clock: f.clock, Workers: before.Workers, VMs: before.VMs, Active: before.Active}
	c.add(f)
	p.mu.Lock()
	p.voices.metricsAt = c.At
	c.ProbesLost = m.lacks > 0
	m.lacks = max(0, m.lacks-1)
	m.heardAt(c.At)
	p.mu.Unlock()
	p.listen(c.At)
	if _, deltas := fleet.EvidenceOf(node); deltas {
		p.server.events.merge(Event{Kind: Counted, Node: node, Counters: c}, mergeCounted)
	}
	return c
}

// mergeCounted adds up what was not taken yet.
func mergeCounted(older, newer Event) Event {
	all := &newer.Counters
	all.Requests = sum(all.Requests, older.Counters.Requests)
	all.Errors = sum(all.Errors, older.Counters.Errors)
	all.Redirects = sum(all.Redirects, older.Counters.Redirects)
	all.Denials = sum(all.Denials, older.Counters.Denials)
	all.ProbeRedirects = sum(all.ProbeRedirects, older.Counters.ProbeRedirects)
	all.ProbeDenials = sum(all.ProbeDenials, older.Counters.ProbeDenials)
	all.Probes = sum(all.Probes, older.Counters.Probes)
	all.ProbesFailed = sum(all.ProbesFailed, older.Counters.ProbesFailed)
	all.Begun = sum(all.Begun, older.Counters.Begun)
	all.ConfigFails = sum(all.ConfigFails, older.Counters.ConfigFails)
	all.Crashes = sum(all.Crashes, older.Counters.Crashes)
	all.Routed = sum(all.Routed, older.Counters.Routed)
	all.ServiceErrors = sum(all.ServiceErrors, older.Counters.ServiceErrors)
	all.ServiceDenials = sum(all.ServiceDenials, older.Counters.ServiceDenials)
	all.Unanswered = sum(all.Unanswered, older.Counters.Unanswered)
	all.Bytes = sum(all.Bytes, older.Counters.Bytes)
	all.Times.add(older.Counters.Times)
	all.ProbesLost = all.ProbesLost || older.Counters.ProbesLost
	all.Named = mergeNamed(older.Counters.Named, all.Named)
	return newer
}

func mergeNamed(older, newer map[string]Named) map[string]Named {
	if len(older) == 0 {
		return newer
	}
	all := maps.Clone(older)
	for name, n := range newer {
		if !n.Gauge {
			n.Value = sum(all[name].Value, n.Value)
		}
		all[name] = n
	}
	return all
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

func (s *Server) metricsOpened(node *corev3.Node, certificate string, m *metricsStream) *proxy {
	if _, deltas := fleet.EvidenceOf(node); !deltas {
		s.log.Warn("this proxy's metrics are not counted: its node metadata does not say that they are the server's, as `xds bootstrap` prints it, so that they may be totals",
			"node", node.GetId())
	}
	p := s.rowOf(node, certificate, false) // locked
	defer p.mu.Unlock()
	p.voices.metrics = append(p.voices.metrics, m)
	return p
}

func (p *proxy) metricsClosed(m *metricsStream) {
	defer p.server.forgetSome()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.voices.metrics = slices.DeleteFunc(p.voices.metrics, func(other *metricsStream) bool { return other == m })
	p.vacate()
}
