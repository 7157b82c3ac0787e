package xds

import (
	"sync/atomic"

	"github.com/waxwing-xds/waxwing/internal/quota"
)

// counts are the server's counters.
type counts struct {
	pushes, pushedBytes, accepted, rejected atomic.Int64
	refusedRequests, refusedUnmatched       atomic.Int64
	refusedRemovals                         atomic.Int64
}

// Stats are the server's figures: what is now, and what was counted since it started.
type Stats struct {
	Limits Limits

	Clients   quota.Figures // what each may have, and was refused
	Streams   int           // open
	Proxies   int           // node ids with a stream, or with a rejection to remember
	Unmatched int           // proxies that no fleet matches
	Events    int           // that the control loop is yet to take

	PushBytesInFlight int // of large pushes
	PushesWaiting     int // for the others to be answered
	PushTimeouts      int // large pushes that were not answered in time

	Pushes           int64 // responses sent
	PushedBytes      int64 // of resources in them
	Accepted         int64 // responses that were acknowledged
	Rejected         int64 // and refused
	RefusedRequests  int64 // past MaxRequestBytes
	RefusedUnmatched int64 // past MaxUnmatched
	RefusedRemovals  int64 // listeners that a target would have removed that must not; see wall.go
}

// Stats copies the figures.
func (s *Server) Stats() Stats {
	out := Stats{
		Limits: s.limits, Events: s.events.waiting(),
		Pushes: s.counts.pushes.Load(), PushedBytes: s.counts.pushedBytes.Load(),
		Accepted: s.counts.accepted.Load(), Rejected: s.counts.rejected.Load(),
		Clients: s.clients.Figures(), RefusedRequests: s.counts.refusedRequests.Load(),
		RefusedUnmatched: s.counts.refusedUnmatched.Load(), RefusedRemovals: s.counts.refusedRemovals.Load(),
	}
	s.mu.Lock()
	out.Streams, out.Proxies, out.Unmatched = s.streams, len(s.proxies), s.unmatched
	s.mu.Unlock()
	a := &s.admission
	a.mu.Lock()
	out.PushBytesInFlight, out.PushesWaiting, out.PushTimeouts = a.inFlight, a.waiting, a.timeouts
	a.mu.Unlock()
	return out
}

func (q *events) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue)
}
