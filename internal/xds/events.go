package xds

import (
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
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
	// Probed says: a report of the plan that Probe set is in, which tells whether its
	// probes hold. One that does not tell yet is no event.
	Probed
	// Counted says: the proxy sent its counters.
	Counted
	// Hushed says: of several processes with the node id one is not heard, while another is; or
	// all are again. See quiet.go.
	Hushed
)

// An Event is evidence from a proxy.
type Event struct {
	Kind     EventKind
	Node     *corev3.Node  // who; without the list of extensions that Envoy sends along
	Revision snapshot.Pair // Served and Rejected: of which snapshot
	Resource string        // Rejected: type and names of what was refused
	Message  string        // Rejected: the proxy's own words
	Trouble  bool          // Rejected: for no fault of the revision's; see Retry
	Whole    bool          // Rejected: it has taken nothing else of it either, for users to meet
	Fresh    bool          // Connected: it has no configuration yet
	Named    int           // Served: by a client that is no Envoy, and asks for so many resources by name
	Plan     PlanID        // Probed: which
	Passed   bool          // Probed: all of them were answered as expected, each time
	Failed   []string      // Probed: those that were not, and how
	Keys     []string      // Probed: the checks of these; see Probe.Key
	Wrong    []Answer      // Probed: the same ones
	Before   []Answer      // Probed: what the checks are answered through a listener as it was
	Unsure   bool          // Probed: the service behind the filters may have answered these
	Counters Counters      // Counted: since the last such event that was taken
	Elapsed  time.Duration // Served and Rejected: since the revision was assigned
	Quiet    Quiet         // Hushed: which; its zero value for none
}

// An Answer is what a probe was answered: 0 for nothing.
type Answer struct {
	Name   string
	Key    string // see Probe
	Way    string
	Check  fleet.Check
	Status int
	// Again says that it was once answered wrongly, nobody knows how, and is answered as wanted.
	Again bool
}

// ID is the id of the proxy's node.
func (e Event) ID() string { return e.Node.GetId() }

// events is a queue that never blocks who puts something in: streams must not
// wait for the loop that takes events, nor the loop for itself. Its length is
// bounded by the streams there are, each of which has few events to tell: what
// comes again and again is merged into what was not taken yet.
type events struct {
	mu     sync.Mutex
	queue  []Event
	merged map[eventKey]int // where in the queue that is
	ready  chan struct{}    // holds a token while the queue is not empty
}

type eventKey struct {
	kind EventKind
	node string
}

func (q *events) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.append(e)
}

func (q *events) append(e Event) {
	q.queue = append(q.queue, e)
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// merge puts an event in, or into the last of its kind and node if that was not
// taken yet.
func (q *events) merge(e Event, into func(older, newer Event) Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := eventKey{e.Kind, e.ID()}
	if i, ok := q.merged[key]; ok {
		q.queue[i] = into(q.queue[i], e)
		return
	}
	if q.merged == nil {
		q.merged = map[eventKey]int{}
	}
	q.merged[key] = len(q.queue)
	q.append(e)
}

func (q *events) take() []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.queue
	q.queue = nil
	clear(q.merged)
	return taken
}
