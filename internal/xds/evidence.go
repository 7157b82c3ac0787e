package xds

import (
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// voices are a proxy's health discovery and metrics streams, and what it is asked by them.
// A proxy opens them beside ADS, in any order, and reconnects each on its own; so none of
// it hangs on an ADS session. The proxy's lock is theirs.
type voices struct {
	plan    *ProbePlan
	health  []*healthStream // oldest first; the newest speaks for the node
	metrics []*metricsStream

	healthAt, metricsAt time.Time // when the last report, or flush, came in
}

// any is whether there is something to know.
func (v *voices) any() bool { return v.plan != nil || len(v.health) > 0 || len(v.metrics) > 0 }

// wake has the health discovery streams look again at what to ask.
func (v *voices) wake() {
	for _, h := range v.health {
		h.wake()
	}
}

// lostVoice is for how long a stream counts that says nothing: it may be one of a proxy that
// has come back, which is still to be noticed as gone.
const lostVoice = 5 * time.Second

// waitsFor is whether a process of the node is yet to say that the checks hold.
func (v *voices) waitsFor(plan PlanID, now time.Time) bool {
	return slices.ContainsFunc(v.health, func(h *healthStream) bool { return h.passed != plan && now.Sub(h.heard) < lostVoice })
}

// newest is the health discovery stream that speaks for the node, or nil.
func (v *voices) newest() *healthStream {
	if len(v.health) == 0 {
		return nil
	}
	return v.health[len(v.health)-1]
}

// identify takes the node that a stream begins with, of which kept is what is kept, and holds a
// later one against it.
func identify(kept *keeping, known, node *corev3.Node) (*corev3.Node, error) {
	switch {
	case known == nil && node.GetId() == "":
		return nil, status.Error(codes.InvalidArgument, "the first message of a stream must have a node with an id")
	case known == nil:
		return node, kept.node(node)
	case node != nil && node.GetId() != fleet.SaidID(known):
		return nil, status.Errorf(codes.InvalidArgument, "the stream of node %q can't become that of %q", fleet.SaidID(known), node.GetId())
	}
	return known, nil
}
