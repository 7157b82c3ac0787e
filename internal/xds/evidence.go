package xds

import (
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// evidence is what the server knows of the nodes' health discovery and metrics
// streams. A proxy opens them beside ADS, in any order, and reconnects each on
// its own; so none of it hangs on an ADS session.
type evidence struct {
	mu    sync.Mutex // taken after the locks of ADS, before that of events
	nodes map[string]*witness

	healthStreams, metricsStreams int // that are open
}

// A witness is a node: what it is to be asked, and its streams.
type witness struct {
	plan    *ProbePlan
	health  []*healthStream // oldest first; the newest speaks for the node
	metrics int             // open streams

	healthAt, metricsAt time.Time // when the last report, or flush, came in
}

// open finds a node's witness, or makes one.
func (e *evidence) open(node string) *witness {
	w := e.nodes[node]
	if w == nil {
		w = &witness{}
		e.nodes[node] = w
	}
	return w
}

// prune forgets a node of which there is nothing to know.
func (e *evidence) prune(node string) {
	if w := e.nodes[node]; w != nil && w.plan == nil && len(w.health) == 0 && w.metrics == 0 {
		delete(e.nodes, node)
	}
}

// lostVoice is for how long a stream counts that says nothing: it may be one of a proxy that
// has come back, which is still to be noticed as gone.
const lostVoice = 5 * time.Second

// waitsFor is whether a process of the node is yet to say that the checks hold.
func (w *witness) waitsFor(plan PlanID, now time.Time) bool {
	return slices.ContainsFunc(w.health, func(h *healthStream) bool { return h.passed != plan && now.Sub(h.heard) < lostVoice })
}

// newest is the health discovery stream that speaks for the node, or nil.
func (w *witness) newest() *healthStream {
	if len(w.health) == 0 {
		return nil
	}
	return w.health[len(w.health)-1]
}

// fill adds what a person wants to know.
func (e *evidence) fill(out *ProxyStatus) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.nodes[out.Node.GetId()]; w != nil {
		out.Health, out.HealthAt = len(w.health) > 0, w.healthAt
		out.Metrics, out.MetricsAt = w.metrics > 0, w.metricsAt
	}
}

// identify takes the node that a stream begins with, and holds a later one against it.
func identify(known, node *corev3.Node) (*corev3.Node, error) {
	switch {
	case known == nil && node.GetId() == "":
		return nil, status.Error(codes.InvalidArgument, "the first message of a stream must have a node with an id")
	case known == nil:
		slim(node)
		return node, nil
	case node != nil && node.GetId() != known.GetId():
		return nil, status.Errorf(codes.InvalidArgument, "the stream of node %q can't become that of %q", known.GetId(), node.GetId())
	}
	return known, nil
}

// enter counts a stream that opens. Limits.MaxStreams holds for each kind.
func (s *Server) enter(open *int) error {
	s.evidence.mu.Lock()
	defer s.evidence.mu.Unlock()
	if s.limits.MaxStreams > 0 && *open >= s.limits.MaxStreams {
		return status.Errorf(codes.ResourceExhausted, "the server has its %d streams", s.limits.MaxStreams)
	}
	*open++
	return nil
}

func (s *Server) exit(open *int) {
	s.evidence.mu.Lock()
	defer s.evidence.mu.Unlock()
	*open--
}
