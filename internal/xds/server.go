// Package xds serves snapshots to Envoys over ADS, delta and state-of-the-world,
// and reports what each proxy makes of them.
//
// The messages and the rules of subscription are go-control-plane's; each stream is
// a session of ours. RATIONALE.md says why.
package xds

import (
	"cmp"
	"container/list"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"

	"github.com/waxwing-xds/waxwing/internal/quota"
)

// Limits bound what proxies can take of the server.
type Limits struct {
	// MaxStreams is how many streams are open at once; more are refused with
	// RESOURCE_EXHAUSTED, and the proxy tries again. 0 means no limit.
	MaxStreams int
	// MaxRequestBytes is the size of one request from a proxy; a larger one ends
	// its stream. 0 means gRPC's default, 4 MiB.
	MaxRequestBytes int
	// MaxClientStreams is how many of them, of each kind, and of connections one client has at most;
	// MaxClientRequests how many requests a second are read of it. MaxClientBytes is how much is kept
	// of what one client says of its nodes and asks for, MaxKeptBytes of what all do. MaxNames is how
	// many resources one stream asks for by name. 0 means no limit. See package quota.
	MaxClientStreams, MaxClientRequests    int
	MaxClientBytes, MaxKeptBytes, MaxNames int
	// MaxUnread is how many bytes are held of requests that were not taken, of which MaxClientUnread
	// of one client. 0 means 512 MiB, and 384 MiB.
	MaxUnread, MaxClientUnread int
	// MaxUnmatched is how many proxies that no fleet matches are held; the streams
	// of more are ended with RESOURCE_EXHAUSTED. 0 means no limit.
	MaxUnmatched int
	// PushBudget is how many bytes of large pushes are in flight at once, sent and
	// not answered; more wait their turn. 0 means no limit.
	PushBudget int
	// PushTimeout is how long a proxy may take to answer a large push before its
	// stream is ended with DEADLINE_EXCEEDED. 0 means no limit.
	PushTimeout time.Duration
}

// Server is an ADS server. Register it on a gRPC server made with Options.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	healthv3.UnimplementedHealthDiscoveryServiceServer
	metricsv3.UnimplementedMetricsServiceServer

	log       *slog.Logger
	clients   *quota.Clients
	limits    Limits
	events    events
	admission admission
	counts    counts
	sets      sets

	mu        sync.Mutex
	streams   int // of ADS that are open; then those of the others
	health    int
	metrics   int
	unmatched int
	connected int               // nodes that have a stream
	proxies   map[string]*proxy // by node id
	absent    list.List         // of proxies, those that left first in front
	twins     map[string]string // see twins.go

	names    atomic.Pointer[map[string]string] // see Count
	strays   strays
	listless time.Duration // see awaitListeners
	drain    time.Duration // see drained
}

// NewServer makes a server that gives nothing to anyone until Assign says what.
func NewServer(log *slog.Logger, limits Limits) *Server {
	return &Server{
		log: log, limits: limits, clients: quota.New(log, limits.quota()),
		events:    events{ready: make(chan struct{}, 1)},
		admission: admission{budget: limits.PushBudget, timeout: limits.PushTimeout},
		proxies:   map[string]*proxy{}, twins: map[string]string{},
		listless: listless,
		drain:    drainTime,
	}
}

// Options are the settings that the gRPC server needs for it. gRPC's buffers are
// left as they are: a larger one for writing saves a tenth of the processor time
// of a large push, and costs as much with small ones.
func (s *Server) Options() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.UnknownServiceHandler(s.unserved),
		grpc.Creds(s.clients.Creds(insecure.NewCredentials())), // unless others follow
		grpc.ChainStreamInterceptor(s.clients.Stream),
		grpc.MaxHeaderListSize(maxHeaders),
		// For the heads of a few frames; what is longer is read where it belongs. The default, 32 KiB, gRPC
		// keeps for each connection that is none of the system's, and these are the quota's, or TLS's, which
		// reads whole records by itself.
		grpc.ReadBufferSize(1 << 10),
		// Proxies ping every 2 s, by the bootstrap, to notice a server that is
		// gone without a word; gRPC's default would cut them off for it.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 500 * time.Millisecond, PermitWithoutStream: true}),
		// And the other way round: a proxy that is gone without a word is off the table
		// in a minute. No sooner: one that compiles a large module on a busy machine
		// answers nothing meanwhile, and would be sent it again for ever.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 50 * time.Second, MaxConnectionIdle: 5 * time.Minute}),
	}
	if s.limits.MaxRequestBytes > 0 {
		options = append(options, grpc.MaxRecvMsgSize(s.limits.MaxRequestBytes))
	}
	return options
}

// maxHeaders is how large the headers of a request may be, in bytes.
const maxHeaders = 64 << 10

// Clients are those of the port, and what each takes of it.
func (s *Server) Clients() *quota.Clients { return s.clients }

// Most of what there is one client may have, for ten thousand proxies may be behind one address.
const (
	maxUnread       = 512 << 20
	maxClientUnread = 384 << 20
)

func (l Limits) quota() quota.Limits {
	return quota.Limits{
		Streams: l.MaxStreams, ClientStreams: l.MaxClientStreams, ClientRequests: l.MaxClientRequests,
		Kept: l.MaxKeptBytes, ClientKept: l.MaxClientBytes, Unread: cmp.Or(l.MaxUnread, maxUnread), ClientUnread: cmp.Or(l.MaxClientUnread, maxClientUnread),
	}
}

// Register adds the discovery, health discovery and metrics services to a gRPC server.
func (s *Server) Register(g *grpc.Server) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	healthv3.RegisterHealthDiscoveryServiceServer(g, s)
	metricsv3.RegisterMetricsServiceServer(g, s)
}

// Ready has a token while there are events to take.
func (s *Server) Ready() <-chan struct{} { return s.events.ready }

// Events takes the events since the last call, in the order they happened.
func (s *Server) Events() []Event { return s.events.take() }

// Assign gives the proxies with a node id a target, or one of nothing: they then keep
// what they have. It returns at once; the proxies get it as fast as they take it.
func (s *Server) Assign(nodeID string, target Target) {
	if p := s.proxy(nodeID); p != nil {
		p.match(true)
		p.assign(target)
	}
}

// Unmatched says that no fleet matches a node: its proxy keeps what it has. If
// too many such are held, its streams are ended.
func (s *Server) Unmatched(nodeID string) {
	p := s.proxy(nodeID)
	if p == nil {
		return
	}
	p.assign(Target{})
	if held := p.match(false); s.limits.MaxUnmatched > 0 && held > s.limits.MaxUnmatched {
		s.counts.refusedUnmatched.Add(1)
		p.cut(status.Errorf(codes.ResourceExhausted, "no fleet matches node %q, and the server holds %d such nodes already", nodeID, held-1))
	}
}

// Node is the node that a connected proxy says it is, nil where none with this id is
// connected. Nobody may write to it.
func (s *Server) Node(nodeID string) *corev3.Node {
	if p := s.proxy(nodeID); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := len(p.sessions); n > 0 {
			return p.sessions[n-1].node
		}
	}
	return nil
}

// Connected is how many proxies are connected, by node id.
func (s *Server) Connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected
}

func (s *Server) proxy(nodeID string) *proxy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proxies[nodeID]
}

// enter counts a stream that opens, and exit one that ends. How many there may be is quota's matter.
func (s *Server) enter(open *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*open++
}

func (s *Server) exit(open *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*open--
}
