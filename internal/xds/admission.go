package xds

import (
	"container/list"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waxwing-xds/waxwing/internal/quota"
)

// largePush is the size in bytes of resources from which a push is counted
// against the budget. Smaller ones, of configuration, never wait.
const largePush = 64 << 10

// admission keeps the large pushes that are in flight within a budget of bytes. A
// push is in flight from when it is sent until the proxy answers it: so long it
// may lie in this host's socket buffers. One that does not fit waits, also where a
// smaller one behind it would fit: nobody starves. Clients take turns, and those of one
// are first come, first served. Beside the budget there is an eighth of it for those that
// have little in flight: others may have all of it, and never answer. A push that is
// larger than the budget goes when it is alone.
type admission struct {
	budget  int           // bytes; 0 for no limit
	timeout time.Duration // how long a push may be in flight; 0 for no limit

	mu       sync.Mutex
	inFlight int                      // bytes
	waiting  int                      // tickets
	turns    list.List                // of *share: those that have tickets, and room for the first of them
	shares   map[*quota.Client]*share // of clients that have any ticket
	timeouts int                      // pushes that were not answered in time
}

// A ticket is a push's place in the queue and, once granted, its share of the
// budget. Its fields are the admission's.
type ticket struct {
	share *share
	size  int
	turn  func() // called, on a goroutine of its own, when a ticket that waited is granted
	late  func() // called when the push was in flight for too long
	state ticketState
	place *list.Element
	timer *time.Timer
}

// A share is what a client has of the budget, and waits for.
type share struct {
	client   *quota.Client
	inFlight int // bytes
	tickets  int
	waiting  list.List     // of *ticket, oldest first
	turn     *list.Element // in turns; nil while it is not on it
}

type ticketState int

const (
	ticketWaits ticketState = iota
	ticketGranted
	ticketReleased
)

// request asks for a share. Whether it can be used at once, use tells; otherwise
// turn is called when it can.
func (a *admission) request(of *quota.Client, size int, turn, late func()) *ticket {
	t := &ticket{size: size, turn: turn, late: late}
	a.mu.Lock()
	defer a.mu.Unlock()
	t.share = a.shareOf(of)
	t.share.tickets++
	if t.share.waiting.Len() == 0 && a.allows(t) && (a.turns.Len() == 0 && a.fits(t) || a.reserves(t)) {
		a.grant(t)
	} else {
		t.place = t.share.waiting.PushBack(t)
		a.waiting++
		a.line(t.share)
	}
	return t
}

func (a *admission) shareOf(of *quota.Client) *share {
	if a.shares == nil {
		a.shares = map[*quota.Client]*share{}
	}
	s := a.shares[of]
	if s == nil {
		s = &share{client: of}
		a.shares[of] = s
	}
	return s
}

// line has a client wait for its turn, if it has something to send and may.
func (a *admission) line(s *share) {
	if s.turn == nil && s.waiting.Len() > 0 && a.allows(s.waiting.Front().Value.(*ticket)) {
		s.turn = a.turns.PushBack(s)
	}
}

func (a *admission) unline(s *share) {
	if s.turn != nil {
		a.turns.Remove(s.turn)
		s.turn = nil
	}
}

// allows is whether a client may have so much at once.
func (a *admission) allows(t *ticket) bool {
	return a.budget <= 0 || t.share.inFlight == 0 || t.share.inFlight+t.size <= a.budget
}

// reserve is what there is beside the budget for clients that have no more than that in flight, in
// bytes: others that never answer may have all of the budget.
func (a *admission) reserve() int { return a.budget / 8 }

func (a *admission) reserves(t *ticket) bool {
	return t.share.inFlight < a.inFlight && t.share.inFlight+t.size <= a.reserve() && a.inFlight+t.size <= a.budget+a.reserve()
}

// use reports whether a push of this size can be sent on a ticket. It may be
// another than the one that was asked for, when the target has changed meanwhile;
// from then on its size is what counts.
func (a *admission) use(t *ticket, size int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.state == ticketGranted {
		a.inFlight += size - t.size
		t.share.inFlight += size - t.size
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
	t.share.inFlight += t.size
	if a.timeout > 0 {
		t.timer = time.AfterFunc(a.timeout, func() { a.expire(t) })
	}
}

func (a *admission) drop(t *ticket) {
	switch t.state {
	case ticketWaits:
		t.share.waiting.Remove(t.place)
		a.waiting--
	case ticketGranted:
		a.inFlight -= t.size
		t.share.inFlight -= t.size
		if t.timer != nil {
			t.timer.Stop()
		}
	case ticketReleased:
		return
	}
	t.state = ticketReleased
	s := t.share
	if s.tickets--; s.tickets == 0 {
		delete(a.shares, s.client)
	}
	if s.turn == nil || s.waiting.Len() == 0 { // else it keeps its place
		a.unline(s)
		a.line(s)
	}
	a.next()
}

// next grants what there is room for, to one client after the other. Behind one whose push does
// not fit only those go that have the reserve.
func (a *admission) next() {
	waits := false
	for e := a.turns.Front(); e != nil && (!waits || a.inFlight < a.budget+a.reserve()); {
		s := e.Value.(*share)
		e = e.Next()
		first := s.waiting.Front().Value.(*ticket)
		if !a.allows(first) { // the one before it was given up, and it is larger
			a.unline(s)
			continue
		}
		if !a.reserves(first) && (waits || !a.fits(first)) {
			waits = true
			continue
		}
		a.unline(s)
		s.waiting.Remove(first.place)
		a.waiting--
		a.grant(first)
		a.line(s)
		if e == nil {
			e = a.turns.Front()
		}
		go first.turn() // it takes its session's lock; the caller holds another's
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
		st.ticket = a.request(s.holds.client, size, func() { s.turn(st) }, func() {
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
