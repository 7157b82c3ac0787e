package xds

import (
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// counts are the server's counters.
type counts struct {
	pushes, pushedBytes, accepted, rejected           atomic.Int64
	refusedStreams, refusedRequests, refusedUnmatched atomic.Int64
}

// Stats are the server's figures: what is now, and what was counted since it started.
type Stats struct {
	Limits Limits

	Streams   int // open
	Proxies   int // node ids with a stream, or with a rejection to remember
	Unmatched int // proxies that no fleet matches
	Events    int // that the control loop is yet to take

	PushBytesInFlight int // of large pushes
	PushesWaiting     int // for the others to be answered
	PushTimeouts      int // large pushes that were not answered in time

	Pushes           int64 // responses sent
	PushedBytes      int64 // of resources in them
	Accepted         int64 // responses that were acknowledged
	Rejected         int64 // and refused
	RefusedStreams   int64 // past MaxStreams
	RefusedRequests  int64 // past MaxRequestBytes
	RefusedUnmatched int64 // past MaxUnmatched
}

// Stats copies the figures.
func (s *Server) Stats() Stats {
	out := Stats{
		Limits: s.limits, Events: s.events.waiting(),
		Pushes: s.counts.pushes.Load(), PushedBytes: s.counts.pushedBytes.Load(),
		Accepted: s.counts.accepted.Load(), Rejected: s.counts.rejected.Load(),
		RefusedStreams: s.counts.refusedStreams.Load(), RefusedRequests: s.counts.refusedRequests.Load(),
		RefusedUnmatched: s.counts.refusedUnmatched.Load(),
	}
	s.mu.Lock()
	out.Streams, out.Proxies, out.Unmatched = s.streams, len(s.proxies), s.unmatched
	s.mu.Unlock()
	a := &s.admission
	a.mu.Lock()
	out.PushBytesInFlight, out.PushesWaiting, out.PushTimeouts = a.inFlight, a.waiting.Len(), a.timeouts
	a.mu.Unlock()
	return out
}

func (q *events) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue)
}

// deltaStream and sotwStream notice requests that are too large, which
// go-control-plane takes for the end of the stream without a word.
type deltaStream struct {
	discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	session *session
}

// Recv implements the stream.
func (d *deltaStream) Recv() (*discoveryv3.DeltaDiscoveryRequest, error) {
	req, err := d.AggregatedDiscoveryService_DeltaAggregatedResourcesServer.Recv()
	d.session.noticeTooLarge(err)
	return req, err
}

type sotwStream struct {
	discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer
	session *session
}

// Recv implements the stream.
func (d *sotwStream) Recv() (*discoveryv3.DiscoveryRequest, error) {
	req, err := d.AggregatedDiscoveryService_StreamAggregatedResourcesServer.Recv()
	d.session.noticeTooLarge(err)
	return req, err
}

func (s *session) noticeTooLarge(err error) {
	if err != nil && status.Code(err) == codes.ResourceExhausted {
		s.server.counts.refusedRequests.Add(1)
		s.cut(err)
	}
}
