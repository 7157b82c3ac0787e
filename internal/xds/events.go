package xds

import (
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// An EventKind says what a proxy did.
type EventKind int

const (
	// Connected says: a proxy opened a stream and said who it is. It is given nothing
	// until Assign names a snapshot for it.
	Connected EventKind = iota
	// Disconnected says: the proxy's last stream ended.
	Disconnected
	// Served says: the proxy acknowledged all of a revision that it needs.
	Served
	// Rejected says: the proxy refused a part of a revision (a NACK).
	Rejected
	// HealthOpened says: the proxy opened a health discovery stream.
	HealthOpened
	// HealthClosed says: it ended.
	HealthClosed
	// Probed says: the proxy reported on all probes of the plan that it has.
	Probed
	// Counted says: the proxy sent its counters.
	Counted
)

// An Event is evidence from a proxy.
type Event struct {
	Kind     EventKind
	Node     *corev3.Node  // who; without the list of extensions that Envoy sends along
	Revision string        // Served and Rejected: of which snapshot
	Resource string        // Rejected: type and names of what was refused
	Message  string        // Rejected: the proxy's own words
	Fresh    bool          // Connected: it has no configuration yet
	NodeID   string        // Counted: who, where Node is nil
	Plan     string        // Probed: the plan's ID
	Passed   bool          // Probed: all of them hold
	Failed   []string      // Probed: those that don't
	Counters Counters      // Counted
	Elapsed  time.Duration // Served and Rejected: since the revision was assigned
}

// ID is the id of the proxy's node.
func (e Event) ID() string {
	if e.Node != nil {
		return e.Node.GetId()
	}
	return e.NodeID
}

// events is a queue that never blocks who puts something in: streams must not
// wait for the loop that takes events, nor the loop for itself. Its length is
// bounded by the streams there are, each of which has few events to tell.
type events struct {
	mu    sync.Mutex
	queue []Event
	ready chan struct{} // holds a token while the queue is not empty
}

func (q *events) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, e)
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *events) take() []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.queue
	q.queue = nil
	return taken
}
