package xds

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/quota"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// large makes a snapshot whose filter is a push of more than 100 KiB.
func large(t *testing.T, version string) *snapshot.Snapshot {
	t.Helper()
	return build(t, "echo", strings.Repeat("m", 100<<10)+version)
}

// until waits until the server's figures are as they should be.
func (h *harness) until(what string, condition func(Stats) bool) {
	h.t.Helper()
	if !xdstest.Until(h.ctx, func() bool { return condition(h.Stats()) }) {
		h.t.Fatalf("%s: it does not come to it, but to %+v", what, h.Stats())
	}
}

// gate is a proxy's judge that holds the filter back until it is opened.
type gate struct {
	opened chan struct{}
	got    chan string // versions of the filter
}

func newGate() *gate { return &gate{make(chan struct{}), make(chan string, 10)} }

func (g *gate) judge(r xdstest.Response) error {
	if version, ok := r.Resources["auth"]; ok {
		g.got <- version
		<-g.opened
	}
	return nil
}

// With room for one push at a time, they go one at a time, in the order in which
// the proxies came, and each is the newest by then.
func TestPushBudget(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		h := serve(t, Limits{PushBudget: 150 << 10})
		first, second := large(t, "1"), large(t, "2")
		names := []string{"a", "b", "c"}
		gates := map[string]*gate{}
		for i, name := range names {
			gates[name] = newGate()
			h.connect(h.proxy(name, sotw, gates[name].judge))
			h.expect(Connected, name)
			h.Assign(name, first)
			h.until(name+" waits", func(s Stats) bool { return s.PushesWaiting == i && s.PushBytesInFlight > 0 })
		}
		version := <-gates["a"].got
		h.Assign("c", second) // while it waits
		for i, name := range names {
			if i > 0 {
				version = <-gates[name].got
			}
			if s := h.Stats(); s.PushBytesInFlight < 100<<10 || s.PushBytesInFlight > 110<<10 || s.PushesWaiting != 2-i {
				t.Errorf("while %s has the room: %d bytes in flight, %d waiting", name, s.PushBytesInFlight, s.PushesWaiting)
			}
			close(gates[name].opened)
			if e := h.expect(Served, name); name == "c" && e.Revision != second.Pair {
				t.Errorf("c was sent %s, and not the newest", version)
			}
		}
		if s := h.Stats(); s.PushBytesInFlight != 0 || s.PushesWaiting != 0 {
			t.Errorf("at the end %+v", s)
		}
	})
}

// A push that is larger than the whole budget goes alone; small ones do not wait for it.
func TestPushLargerThanBudget(t *testing.T) {
	h := serve(t, Limits{PushBudget: 1})
	g := newGate()
	h.connect(h.proxy("a", false, g.judge))
	h.expect(Connected, "a")
	h.Assign("a", large(t, "1"))
	<-g.got
	h.start(h.proxy("b", false, nil), "b", build(t, "echo", "small"))
	close(g.opened)
	h.expect(Served, "a")
}

// A proxy that leaves gives its share back, and its place in the queue.
func TestPushShareOfClosedStream(t *testing.T) {
	h := serve(t, Limits{PushBudget: 1})
	target := large(t, "1")
	stall := func(r xdstest.Response) error {
		if r.TypeURL == resource.ExtensionConfigType {
			return xdstest.ErrStall
		}
		return nil
	}
	holds, waits, last := h.proxy("holds", false, stall), h.proxy("waits", false, nil), h.proxy("last", false, nil)
	for i, p := range []*xdstest.Proxy{holds, waits, last} {
		name := []string{"holds", "waits", "last"}[i]
		h.connect(p)
		h.expect(Connected, name)
		h.Assign(name, target)
		h.until(name, func(s Stats) bool { return s.PushesWaiting == i && s.PushBytesInFlight > 0 })
	}
	waits.Close()
	h.expect(Disconnected, "waits")
	h.until("one less waits", func(s Stats) bool { return s.PushesWaiting == 1 })
	holds.Close()
	for e := h.next(); e.Kind != Served; e = h.next() {
		if e.Kind != Disconnected || e.Node.GetId() != "holds" {
			t.Fatalf("event %+v", e)
		}
	}
	h.until("nothing is in flight", func(s Stats) bool { return s.PushBytesInFlight == 0 })
}

// A proxy that waits and is then to have something else, or nothing, keeps nobody up.
func TestPushWithdrawnWhileItWaits(t *testing.T) {
	h := serve(t, Limits{PushBudget: 1})
	target := large(t, "1")
	g := newGate()
	h.connect(h.proxy("a", false, g.judge))
	h.expect(Connected, "a")
	h.Assign("a", target)
	<-g.got
	for i, name := range []string{"b", "c"} {
		h.connect(h.proxy(name, false, nil))
		h.expect(Connected, name)
		h.Assign(name, target)
		h.until(name, func(s Stats) bool { return s.PushesWaiting == i+1 })
	}
	h.Assign("b", nil)
	close(g.opened)
	served := map[string]bool{}
	for range 2 { // the next one's turn comes with the first one's answer
		e := h.next()
		served[e.Node.GetId()] = e.Kind == Served
	}
	if !served["a"] || !served["c"] {
		t.Errorf("served: %v", served)
	}
	h.until("nothing is in flight", func(s Stats) bool { return s.PushBytesInFlight == 0 && s.PushesWaiting == 0 })
}

// A proxy that does not answer is cut off, and the next one has its turn.
func TestPushTimeout(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		h := serve(t, Limits{PushBudget: 1, PushTimeout: 300 * time.Millisecond})
		target := large(t, "1")
		stalled := h.proxy("stalled", sotw, func(r xdstest.Response) error {
			if r.TypeURL == resource.ExtensionConfigType {
				return xdstest.ErrStall
			}
			return nil
		})
		h.connect(stalled)
		h.expect(Connected, "stalled")
		h.Assign("stalled", target)
		h.until("it is sent", func(s Stats) bool { return s.PushBytesInFlight > 0 })
		h.connect(h.proxy("next", sotw, nil))
		h.expect(Connected, "next")
		h.Assign("next", target)
		kinds := map[EventKind]string{}
		for range 2 {
			e := h.next()
			kinds[e.Kind] = e.Node.GetId()
		}
		if kinds[Disconnected] != "stalled" || kinds[Served] != "next" {
			t.Errorf("events %v", kinds)
		}
		if err := stalled.Wait(h.ctx, func() bool { return stalled.Err() != nil }); err != nil {
			t.Fatal(err)
		}
		if status.Code(stalled.Err()) != codes.DeadlineExceeded || h.Stats().PushTimeouts != 1 {
			t.Errorf("its stream ended with %v; %+v", stalled.Err(), h.Stats())
		}
	})
}

func TestMaxUnmatched(t *testing.T) {
	h := serve(t, Limits{MaxUnmatched: 1})
	one, two := h.proxy("one", false, nil), h.proxy("two", false, nil)
	h.connect(one)
	h.expect(Connected, "one")
	h.Unmatched("one")
	h.connect(two)
	h.expect(Connected, "two")
	h.Unmatched("two")
	h.expect(Disconnected, "two")
	h.full(two)
	if s := h.Stats(); s.Unmatched != 1 || s.RefusedUnmatched != 1 {
		t.Errorf("%+v", s)
	}
	h.Assign("one", build(t, "echo", "module")) // a fleet matches it now
	h.expect(Served, "one")
	h.connect(two)
	h.expect(Connected, "two")
	h.Unmatched("two")
	if s := h.Stats(); s.Unmatched != 1 || s.RefusedUnmatched != 1 {
		t.Errorf("%+v", s)
	}
	two.Close()
	h.expect(Disconnected, "two")
	if s := h.Stats(); s.Unmatched != 0 {
		t.Errorf("%+v", s)
	}
}

func TestMaxRequestBytes(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		h := serve(t, Limits{MaxRequestBytes: 1000})
		p := xdstest.New(xdstest.Config{Node: xdstest.Node("a", strings.Repeat("x", 1000), nil), SotW: sotw})
		t.Cleanup(p.Close)
		h.connect(p)
		if err := p.Wait(h.ctx, func() bool { return p.Err() != nil }); err != nil {
			t.Fatal(err)
		}
		if status.Code(p.Err()) != codes.ResourceExhausted || !strings.Contains(p.Err().Error(), "larger than max") {
			t.Errorf("its stream ended with %v", p.Err())
		}
		h.eventually(func() bool { return h.Stats().RefusedRequests == 1 }) // gRPC tells the proxy first
	})
}

// Whatever comes and goes, the budget holds and everyone has a turn.
func TestAdmissionHolds(t *testing.T) {
	const budget, sessions = 1000, 200
	a := &admission{budget: budget}
	var turns sync.WaitGroup
	for i := range sessions {
		size := 1 + rand.IntN(budget)
		turn := make(chan struct{})
		turns.Add(1)
		ticket := a.request(nil, size, func() { close(turn) }, nil)
		go func() {
			defer turns.Done()
			if !a.use(ticket, size) {
				if i%7 == 0 { // it leaves instead of waiting
					a.release(ticket)
					return
				}
				<-turn
			}
			a.mu.Lock()
			if a.inFlight > budget {
				t.Errorf("%d bytes are in flight, of %d", a.inFlight, budget)
			}
			a.mu.Unlock()
			a.release(ticket)
			a.release(ticket)
		}()
	}
	turns.Wait()
	if a.inFlight != 0 || a.waiting != 0 {
		t.Errorf("at the end %d bytes are in flight and %d wait", a.inFlight, a.waiting)
	}
}

// First come, first served, also where the next but one would fit.
func TestAdmissionOrder(t *testing.T) {
	a := &admission{budget: 10}
	order := make(chan int, 10)
	request := func(i, size int) *ticket { return a.request(nil, size, func() { order <- i }, nil) }
	one := request(1, 8)
	two, three := request(2, 5), request(3, 2)
	if a.use(two, 5) || a.use(three, 2) {
		t.Error("a push went past one that waits")
	}
	a.release(one)
	got := []int{<-order, <-order}
	slices.Sort(got) // both fit: their goroutines may be in either order
	if fmt.Sprint(got) != "[2 3]" {
		t.Errorf("then came %v", got)
	}
	four := request(4, 9)
	a.release(two)
	if a.use(four, 9) {
		t.Error("9 and 2 are more than 10")
	}
	a.release(three)
	if i := <-order; i != 4 {
		t.Errorf("then came %d", i)
	}
}

// A client that has all of the budget, and never answers, leaves the others a part beside it; and
// clients that wait take turns.
func TestPushBudgetIsShared(t *testing.T) {
	greedy, modest, other := &quota.Client{Name: "greedy"}, &quota.Client{Name: "modest"}, &quota.Client{Name: "other"}
	a := &admission{budget: 800}
	var held []*ticket
	for range 20 {
		held = append(held, a.request(greedy, 100, func() {}, nil))
	}
	if a.inFlight != 800 || a.waiting != 12 {
		t.Fatalf("%d bytes are in flight, and %d wait", a.inFlight, a.waiting)
	}
	reserved := a.request(modest, 100, func() {}, nil)
	if !a.use(reserved, 100) {
		t.Error("the modest one waits for who never answers")
	}
	order := make(chan string, 9)
	more := a.request(modest, 100, func() { order <- "modest" }, nil)
	third := a.request(other, 100, func() { order <- "other" }, nil)
	if a.use(more, 100) || a.use(third, 100) || a.inFlight > 900 {
		t.Errorf("%d bytes are in flight", a.inFlight)
	}
	a.release(held[0])
	a.release(reserved)
	got := []string{<-order, <-order}
	slices.Sort(got)
	if fmt.Sprint(got) != "[modest other]" {
		t.Errorf("then came %v, and not those that wait behind twelve of the greedy one", got)
	}
	for _, ticket := range append(held, more, third) {
		a.release(ticket)
	}
	if a.inFlight != 0 || a.waiting != 0 || len(a.shares) != 0 || a.turns.Len() != 0 {
		t.Errorf("at the end %+v", a)
	}
}
