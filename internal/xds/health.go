package xds

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Probes are requests that a proxy sends to its own listeners, by health
// discovery: a real request through the real filter, and no need to reach the
// proxy from here. https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/health_discovery_service/hds

// A ProbePlan is what a proxy is to be asked.
type ProbePlan struct {
	ID       string        // its reports are told apart by it
	Interval time.Duration // between two requests of one probe
	Timeout  time.Duration // of a request
	Report   time.Duration // between two reports of the proxy
	Probes   []Probe
}

// A Probe is a check, asked through one listener.
type Probe struct {
	Name    string // for people; it has no header's value
	Address *corev3.Address
	Check   fleet.Check
	Extra   []fleet.Header
}

// beginning is for how long probes may not pass: a proxy reports them as unhealthy
// until the first request was answered, and acknowledges a new listener a moment
// before its workers listen.
const beginning = 1500 * time.Millisecond

// healthNode is what the server knows of a node's health discovery.
type healthNode struct {
	plan   *ProbePlan
	stream *healthStream // nil while none is open
}

// healthStream is one stream. Only its own goroutine sends.
type healthStream struct {
	server *Server
	node   *corev3.Node
	news   chan struct{} // holds a token when there is another plan

	sent   *ProbePlan // and below, what came of it
	sentAt time.Time
	// settled says that all probes have passed once. They were then sent again, to
	// latch: from there on one failure stays.
	settled bool
	passed  bool // since then, too
}

// Probe sets what the proxy with a node id is asked; nil for nothing. It returns
// at once; a plan with the ID of the one before changes nothing.
func (s *Server) Probe(nodeID string, plan *ProbePlan) {
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	h := s.health[nodeID]
	if h == nil {
		if plan == nil {
			return
		}
		h = &healthNode{}
		s.health[nodeID] = h
	}
	if plan != nil && h.plan != nil && plan.ID == h.plan.ID || plan == h.plan {
		return
	}
	h.plan = plan
	s.prune(nodeID, h)
	if h.stream != nil {
		h.stream.wake()
	}
}

// prune forgets a node of which there is nothing to know.
func (s *Server) prune(nodeID string, h *healthNode) {
	if h.plan == nil && h.stream == nil {
		delete(s.health, nodeID)
	}
}

func (h *healthStream) wake() {
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// HealthOpen reports whether a node's health discovery stream is open.
func (s *Server) HealthOpen(nodeID string) bool {
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	h := s.health[nodeID]
	return h != nil && h.stream != nil
}

type healthMessage struct {
	message *healthv3.HealthCheckRequestOrEndpointHealthResponse
	err     error
}

// StreamHealthCheck implements the health discovery service.
func (s *Server) StreamHealthCheck(stream healthv3.HealthDiscoveryService_StreamHealthCheckServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	node := first.GetHealthCheckRequest().GetNode()
	if node.GetId() == "" {
		return status.Error(codes.InvalidArgument, "the first request of a stream must have a node with an id")
	}
	slim(node)
	h := &healthStream{server: s, node: node, news: make(chan struct{}, 1)}
	s.healthOpened(h)
	defer s.healthClosed(h)
	received := make(chan healthMessage)
	go func() { // ends with the stream
		for {
			m, err := stream.Recv()
			select {
			case received <- healthMessage{m, err}:
			case <-stream.Context().Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		select {
		case <-h.news:
			if err := h.send(stream); err != nil {
				return err
			}
		case m := <-received:
			if m.err == io.EOF { //nolint:errorlint // gRPC returns it as it is
				return nil
			}
			if m.err != nil {
				return m.err
			}
			h.report(m.message.GetEndpointHealthResponse())
		case <-stream.Context().Done():
			return nil
		}
	}
}

func (s *Server) healthOpened(h *healthStream) {
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	n := s.health[h.node.GetId()]
	if n == nil {
		n = &healthNode{}
		s.health[h.node.GetId()] = n
	}
	n.stream = h
	h.wake()
	s.events.put(Event{Kind: HealthOpened, Node: h.node})
}

func (s *Server) healthClosed(h *healthStream) {
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	n := s.health[h.node.GetId()]
	if n == nil || n.stream != h { // a newer stream of the node is open
		return
	}
	n.stream = nil
	s.prune(h.node.GetId(), n)
	s.events.put(Event{Kind: HealthClosed, Node: h.node})
}

// send tells the proxy what it is to ask from now on.
func (h *healthStream) send(stream healthv3.HealthDiscoveryService_StreamHealthCheckServer) error {
	h.server.healthMu.Lock()
	var plan *ProbePlan
	if n := h.server.health[h.node.GetId()]; n != nil && n.stream == h {
		plan = n.plan
	}
	h.server.healthMu.Unlock()
	if plan == nil && h.sent == nil {
		return nil
	}
	again := h.settled && plan == h.sent
	h.sent, h.sentAt, h.settled, h.passed = plan, time.Now(), again, false
	if err := stream.Send(specifier(plan, again)); err != nil {
		return fmt.Errorf("health discovery of %s: %w", h.node.GetId(), err)
	}
	return nil
}

func specifier(plan *ProbePlan, latch bool) *healthv3.HealthCheckSpecifier {
	if plan == nil {
		return &healthv3.HealthCheckSpecifier{Interval: durationpb.New(10 * time.Second)}
	}
	out := &healthv3.HealthCheckSpecifier{Interval: durationpb.New(plan.Report)}
	for i, p := range plan.Probes {
		out.ClusterHealthChecks = append(out.ClusterHealthChecks, &healthv3.ClusterHealthCheck{
			ClusterName:  clusterName(plan, latch, i),
			HealthChecks: []*corev3.HealthCheck{healthCheck(plan, latch, p)},
			LocalityEndpoints: []*healthv3.LocalityEndpoints{{
				Endpoints: []*endpointv3.Endpoint{{Address: p.Address}},
			}},
		})
	}
	return out
}

func clusterName(plan *ProbePlan, latch bool, i int) string {
	return fmt.Sprintf("waxwing/%s/%t/%d", plan.ID, latch, i)
}

// healthCheck asks on a connection of its own each time, so that all workers are
// met. To latch is to ask, after one failure, for more successes than there will be.
func healthCheck(plan *ProbePlan, latch bool, p Probe) *corev3.HealthCheck {
	healthy := uint32(1)
	if latch {
		healthy = 1 << 20
	}
	interval := durationpb.New(plan.Interval)
	check := &corev3.HealthCheck_HttpHealthCheck{
		Host: p.Check.Host, Path: p.Check.Path,
		Method:           corev3.RequestMethod(corev3.RequestMethod_value[p.Check.Method]),
		ExpectedStatuses: []*typev3.Int64Range{{Start: int64(p.Check.Status), End: int64(p.Check.Status) + 1}},
	}
	for _, header := range slices.Concat(p.Check.Headers, p.Extra) {
		check.RequestHeadersToAdd = append(check.RequestHeadersToAdd, &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: header.Name, Value: header.Value},
			AppendAction: corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD,
		})
	}
	return &corev3.HealthCheck{
		Timeout: durationpb.New(plan.Timeout), Interval: interval, NoTrafficInterval: interval,
		UnhealthyThreshold: wrapperspb.UInt32(1), HealthyThreshold: wrapperspb.UInt32(healthy),
		ReuseConnection: wrapperspb.Bool(false),
		HealthChecker:   &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: check},
	}
}

// report takes what the proxy says of the plan that it was sent last.
func (h *healthStream) report(r *healthv3.EndpointHealthResponse) {
	if h.sent == nil || len(h.sent.Probes) == 0 {
		return
	}
	said := map[string]corev3.HealthStatus{}
	for _, cluster := range r.GetClusterEndpointsHealth() {
		for _, locality := range cluster.GetLocalityEndpointsHealth() {
			for _, endpoint := range locality.GetEndpointsHealth() {
				said[cluster.GetClusterName()] = endpoint.GetHealthStatus()
			}
		}
	}
	e := Event{Kind: Probed, Node: h.node, Plan: h.sent.ID, Passed: true}
	for i, p := range h.sent.Probes {
		health, ok := said[clusterName(h.sent, h.settled, i)]
		if !ok {
			return // of an older plan
		}
		if health != corev3.HealthStatus_HEALTHY {
			e.Passed = false
			e.Failed = append(e.Failed, fmt.Sprintf("%s: %s", p.Name, health))
		}
	}
	switch {
	case e.Passed && !h.settled:
		h.settled = true
		h.wake()
		return
	case !e.Passed && !h.passed && time.Since(h.sentAt) < beginning:
		return // not answered yet
	}
	h.passed = e.Passed
	h.server.events.put(e)
}

// healthNodes are the nodes whose streams are open.
func (s *Server) healthNodes() map[string]bool {
	s.healthMu.Lock()
	defer s.healthMu.Unlock()
	out := map[string]bool{}
	for node := range maps.Keys(s.health) {
		out[node] = s.health[node].stream != nil
	}
	return out
}
