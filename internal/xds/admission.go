package xds

import (
	"container/list"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// largePush is the size in bytes of resources from which a push is counted
// against the budget. Smaller ones, of configuration, never wait.
const largePush = 64 << 10

// admission keeps the large pushes that are in flight within a budget of bytes. A
// push is in flight from when it is sent until the proxy answers it: so long it
// may lie in this host's socket buffers. One that does not fit waits, first come,
// first served, also where a smaller one behind it would fit: nobody starves. One
// that is larger than the whole budget goes when it is alone.
type admission struct {
	budget  int           // bytes; 0 for no limit
	timeout time.Duration // how long a push may be in flight; 0 for no limit

	mu       sync.Mutex
	inFlight int       // bytes
	waiting  list.List // of *ticket, oldest first
	timeouts int       // pushes that were not answered in time
}

// A ticket is a push's place in the queue and, once granted, its share of the
// budget. Its fields are the admission's.
type ticket struct {
	size  int
	turn  func() // called, on a goroutine of its own, when a ticket that waited is granted
	late  func() // called when the push was in flight for too long
	state ticketState
	place *list.Element
	timer *time.Timer
}

type ticketState int

const (
	ticketWaits ticketState = iota
	ticketGranted
	ticketReleased
)

// request asks for a share. Whether it can be used at once, use tells; otherwise
// turn is called when it can.
func (a *admission) request(size int, turn, late func()) *ticket {
	t := &ticket{size: size, turn: turn, late: late}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting.Len() == 0 && a.fits(t) {
		a.grant(t)
	} else {
		t.place = a.waiting.PushBack(t)
	}
	return t
}

// use reports whether a push of this size can be sent on a ticket. It may be
// another than the one that was asked for, when the target has changed meanwhile;
// from then on its size is what counts.
func (a *admission) use(t *ticket, size int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.state == ticketGranted {
		a.inFlight += size - t.size
	}
	t.size = size
	return t.state == ticketGranted
}

// release gives a share back, or leaves the queue. It may be called more than
// once, and with nil.
func (a *admission) release(t *ticket) {
	if t == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(t)
}

func (a *admission) fits(t *ticket) bool {
	return a.budget <= 0 || a.inFlight == 0 || a.inFlight+t.size <= a.budget
}

func (a *admission) grant(t *ticket) {
	t.state = ticketGranted
	a.inFlight += t.size
	if a.timeout > 0 {
		t.timer = time.AfterFunc(a.timeout, func() { a.expire(t) })
	}
}

func (a *admission) drop(t *ticket) {
	switch t.state {
	case ticketWaits:
		a.waiting.Remove(t.place)
	case ticketGranted:
		a.inFlight -= t.size
		if t.timer != nil {
			t.timer.Stop()
		}
	case ticketReleased:
		return
	}
	t.state = ticketReleased
	for a.waiting.Len() > 0 {
		next := a.waiting.Front().Value.(*ticket)
		if !a.fits(next) {
			return
		}
		a.waiting.Remove(next.place)
		a.grant(next)
		go next.turn() // it takes its session's lock; the caller holds another's
	}
}

func (a *admission) expire(t *ticket) {
	a.mu.Lock()
	late := t.state == ticketGranted
	if late {
		a.timeouts++
		a.drop(t)
	}
	a.mu.Unlock()
	if late {
		t.late()
	}
}

// admit reports whether a push may be sent now. One that may not has a ticket,
// and is looked at again when its turn comes.
func (s *session) admit(st *typeState, p *push) bool {
	size := p.size()
	if size < largePush {
		return true
	}
	a := &s.server.admission
	if st.ticket == nil {
		st.ticket = a.request(size, func() { s.turn(st) }, func() {
			s.cut(status.Errorf(codes.DeadlineExceeded, "no answer to a push of %d bytes within %s", size, a.timeout))
		})
	}
	return a.use(st.ticket, size)
}

// turn is called when a push that waited may go. If there is none any more, its
// share is given back.
func (s *session) turn(st *typeState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	if !st.inFlight() {
		s.giveBack(st)
	}
}

// giveBack gives back what a push had of the budget, if anything.
func (s *session) giveBack(st *typeState) {
	s.server.admission.release(st.ticket)
	st.ticket = nil
}

// size is how many bytes of resources a push has.
func (p *push) size() int {
	n := 0
	for _, r := range p.add {
		n += len(r.Wire.GetResource().GetValue())
	}
	return n
}
