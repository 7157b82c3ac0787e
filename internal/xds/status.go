package xds

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// A ProxyStatus is what the server knows of a connected proxy.
type ProxyStatus struct {
	Node      *corev3.Node
	Variant   string // "delta" or "sotw"
	Streams   int    // more than one: a reconnect, or two proxies with one node id
	Connected time.Time
	Halted    bool     // it refused a part of what it was assigned
	LastACK   *Verdict // nil for none
	LastNACK  *Verdict // nil for none; it outlives a reconnect only if the server must remember it

	// Its health discovery and metrics streams: whether one is open, and when a
	// report last came in by it. The zero time: none.
	Health, Metrics     bool
	HealthAt, MetricsAt time.Time
}

// ProxiesOf lists those of some proxies that are connected, in the order of the ids.
func (s *Server) ProxiesOf(ids []string) []ProxyStatus {
	s.mu.Lock()
	proxies := make([]*proxy, 0, len(ids))
	for _, id := range ids {
		if p := s.proxies[id]; p != nil {
			proxies = append(proxies, p)
		}
	}
	s.mu.Unlock()
	out := make([]ProxyStatus, 0, len(proxies))
	for _, p := range proxies {
		if status, ok := p.status(); ok {
			out = append(out, status)
		}
	}
	return out
}

func (p *proxy) status() (ProxyStatus, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sessions) == 0 {
		return ProxyStatus{}, false
	}
	newest := p.sessions[len(p.sessions)-1]
	variant := "delta"
	if newest.sotw {
		variant = "sotw"
	}
	out := ProxyStatus{
		Node: newest.node, Variant: variant, Streams: len(p.sessions),
		Connected: newest.opened, Halted: newest.halted.Load(), LastACK: p.ack,
		Health: len(p.voices.health) > 0, HealthAt: p.voices.healthAt, Metrics: len(p.voices.metrics) > 0, MetricsAt: p.voices.metricsAt,
	}
	if p.nack != nil {
		out.LastNACK = &p.nack.Verdict
	}
	return out, true
}
