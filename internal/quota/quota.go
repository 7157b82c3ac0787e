// Package quota bounds what one client can take of the xDS port, and what all can together, so
// that others lose nothing to a client that opens streams without end, sends what fills the memory,
// or asks as fast as it can.
//
// Which connections are of one client is told by their certificate; in plain text by the address
// that they come from (of IPv6 its first 64 bits: one host may have all addresses that begin so).
// All that come by a Unix socket are one client. Ten thousand proxies may be behind one address, so
// one client may have nearly as much as all together; and where all is taken, the client that has
// most of it loses some to one that has less.
package quota

import (
	"log/slog"
	"sync"
	"time"
)

// Limits are what clients can take. A zero is no limit.
type Limits struct {
	// Streams is how many are open at once, of each Kind; ClientStreams how many of them, and how
	// many connections, one client may have.
	Streams, ClientStreams int
	// ClientRequests is how many requests and reports a second are read of one client; each
	// requestSize bytes of one count as one more. A client with few streams has fewer: see rate.
	ClientRequests int
	// Kept is how many bytes are kept of what clients say: nodes, and names that they ask for;
	// ClientKept how many of them of one client.
	Kept, ClientKept int
	// Unread is how many bytes are held of requests that have not arrived as a whole, or are yet
	// to be taken; ClientUnread how many of them of one client.
	Unread, ClientUnread int
}

// A Reason is why something was refused: one of Reasons, as it is a label of a metric.
type Reason string

// Why something was refused, or not taken at once.
const (
	Streams       Reason = "max-streams"         // all have as many as there may be
	ClientStreams Reason = "max-client-streams"  // the client has as many as it may have
	Fair          Reason = "fair-share"          // ended for one of a client that has less
	Connections   Reason = "connections"         // the address has as many as it may have
	Opens         Reason = "opens"               // the client opens streams too often
	Requests      Reason = "max-client-requests" // not refused: read later
	Unread        Reason = "unread"              // requests that do not come to an end
	Kept          Reason = "max-kept-bytes"
	ClientKept    Reason = "max-client-bytes"
	NodeSize      Reason = "node"      // a node says too much of what is kept
	Names         Reason = "max-names" // a stream asks for too many
	Silent        Reason = "silent"    // a stream that says nothing
)

// Reasons are all of them.
var Reasons = []Reason{Streams, ClientStreams, Fair, Connections, Opens, Requests, Unread, Kept, ClientKept, NodeSize, Names, Silent}

// A Kind is what a stream is for. Streams are counted of each kind apart.
type Kind int

// The kinds of streams.
const (
	ADS Kind = iota
	Health
	Metrics
	Other
	kinds
)

// Clients are all clients of the xDS port, and what they have together. They can be used by several goroutines.
type Clients struct {
	limits   Limits
	refusals refusals
	now      func() time.Time

	mu      sync.Mutex
	clients map[string]*Client
	streams [kinds]int
	most    [kinds]*Client // the client with most streams, or that had most; nil for none
	looked  time.Time      // when that was last looked for, see whoHasMost
	kept    int            // bytes
	unread  int            // bytes
}

// New returns clients that have nothing yet.
func New(log *slog.Logger, limits Limits) *Clients {
	return &Clients{
		limits: limits, now: time.Now, clients: map[string]*Client{},
		refusals: refusals{log: log, counts: map[Reason]int64{}, logged: map[Reason]time.Time{}, unlogged: map[Reason]int{}},
	}
}

// A Client is one of them. The lock of its Clients guards what it has.
type Client struct {
	all *Clients
	// Name is who it is: certificate NAME, address ADDRESS or socket.
	Name string

	conns   int
	streams [kinds]int
	newest  [kinds]*stream // the head of a list; each has the one opened before it
	kept    int            // bytes
	unread  int            // bytes
	opens   bucket         // of streams
	asks    bucket         // of requests
	last    time.Time      // when it last lost a stream or a connection
}

// maxIdle is how many clients are remembered that have nothing, for what they have taken lately.
const maxIdle = 10000

// client finds the client with a name, or makes it.
func (all *Clients) client(name string) *Client {
	c := all.clients[name]
	if c == nil {
		c = &Client{all: all, Name: name, last: all.now()}
		all.clients[name] = c
		if len(all.clients) > 2*maxIdle && len(all.clients)%1000 == 0 {
			all.sweep()
		}
	}
	return c
}

// sweep forgets the clients that have nothing, and have taken nothing lately.
func (all *Clients) sweep() {
	for name, c := range all.clients {
		if c.conns == 0 && c.kept == 0 && all.now().Sub(c.last) > forget {
			delete(all.clients, name)
		}
	}
}

// forget is how long after it had something a client is forgotten. By then its buckets are full again.
const forget = time.Minute

// Len is how many clients there are that have something, or had lately.
func (all *Clients) Len() int {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.sweep()
	return len(all.clients)
}

// Keep counts bytes that are kept of what a client says, or, where by is negative, that are not kept any
// more. Its error is a gRPC status, ResourceExhausted: that would be too much, and was not counted.
func (c *Client) Keep(by int) error {
	if c == nil || by == 0 {
		return nil
	}
	all := c.all
	all.mu.Lock()
	defer all.mu.Unlock()
	if by > 0 {
		if l := all.limits.ClientKept; l > 0 && c.kept+by > l {
			return c.refuse(ClientKept, "the server keeps at most %d bytes of what %s says of its nodes and asks for", l, c.Name)
		}
		if l := all.limits.Kept; l > 0 && all.kept+by > l && c.kept+by > fairKept {
			return c.refuse(Kept, "the server keeps at most %d bytes of what its clients say of their nodes and ask for", l)
		}
	}
	c.kept += by
	all.kept += by
	return nil
}

// Work counts other work that a client makes, as so many requests: where that is more than it may ask for,
// what it sends next is read later.
func (c *Client) Work(requests int) {
	if c == nil || requests == 0 {
		return
	}
	c.count(0, requests)
}

// fairKept is what a client may have kept, in bytes, whatever others have.
const fairKept = 4 << 20

// Figures are what clients have.
type Figures struct {
	Clients int
	Kept    int // bytes
	Unread  int // bytes
	Refused map[string]int64
	Last    string // who was refused last, and why
	LastAt  time.Time
}

// Figures copies them.
func (all *Clients) Figures() Figures {
	all.mu.Lock()
	out := Figures{Clients: len(all.clients), Kept: all.kept, Unread: all.unread}
	all.mu.Unlock()
	all.refusals.show(&out)
	return out
}
