package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"

	"github.com/waxwing-xds/waxwing/internal/quota"
)

// A healthStream is one health discovery stream. One goroutine sends and judges.
type healthStream struct {
	proxy  *proxy
	node   *corev3.Node
	stream healthv3.HealthDiscoveryService_StreamHealthCheckServer
	news   chan struct{} // holds a token when there may be another plan
	asked  *inquiry      // nil until something was sent
	peer   string        // the address of its connection

	// Written with the lock of the proxy.
	heard  time.Time // when it last reported, or was opened
	passed PlanID    // what its last verdict was good for
}

func (h *healthStream) wake() {
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// StreamHealthCheck implements the health discovery service.
func (s *Server) StreamHealthCheck(stream healthv3.HealthDiscoveryService_StreamHealthCheckServer) error {
	s.enter(&s.health)
	defer s.exit(&s.health)
	kept := keeping{client: quota.Of(stream)}
	defer kept.nothing()
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	node, err := identify(&kept, nil, first.GetHealthCheckRequest().GetNode())
	if err != nil {
		return err
	}
	h := &healthStream{node: node, stream: stream, news: make(chan struct{}, 1), peer: peerOf(stream.Context()), heard: time.Now()}
	s.healthOpened(h)
	defer s.healthClosed(h)
	reports, ended := make(chan *healthv3.EndpointHealthResponse), make(chan error, 1)
	go func() { ended <- h.receive(stream.Context(), reports) }() // ends with the stream
	for {
		select {
		case <-h.news:
			err = h.send()
		case r := <-reports:
			err = h.take(r)
		case err = <-ended:
			return err
		}
		if err != nil {
			return fmt.Errorf("health discovery of %q: %w", node.GetId(), err)
		}
	}
}

// receive hands over reports until the stream ends.
func (h *healthStream) receive(ctx context.Context, reports chan<- *healthv3.EndpointHealthResponse) error {
	for {
		m, err := h.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if request := m.GetHealthCheckRequest(); request != nil {
			if _, err := identify(nil, h.node, request.GetNode()); err != nil {
				return err
			}
			continue
		}
		select {
		case reports <- m.GetEndpointHealthResponse(): // nil where there is nothing to report on
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) healthOpened(h *healthStream) {
	h.proxy = s.rowOf(h.node, provenBy(h.stream.Context()), false) // locked
	defer h.proxy.mu.Unlock()
	h.proxy.voices.health = append(h.proxy.voices.health, h)
	// Without a plan it is sent an empty one: the probes of an earlier stream run on.
	h.wake()
	s.events.put(Event{Kind: HealthOpened, Node: h.node})
}

func (s *Server) healthClosed(h *healthStream) {
	defer s.forgetSome()
	p := h.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.vacate()
	v := &p.voices
	v.health = slices.DeleteFunc(v.health, func(other *healthStream) bool { return other == h })
	if len(v.health) == 0 {
		s.events.put(Event{Kind: HealthClosed, Node: h.node})
	}
}

// send tells the proxy what to ask itself, if that is not what it was told last.
func (h *healthStream) send() error {
	h.proxy.mu.Lock()
	plan, slot := h.proxy.voices.plan, h.proxy.slotOf(h)
	h.proxy.mu.Unlock()
	if plan == nil {
		plan = nothing
	}
	if h.asked != nil && h.asked.plan == plan && h.asked.slot == slot {
		return nil
	}
	return h.ask(newInquiry(plan, slot, trying))
}

func (h *healthStream) ask(q *inquiry) error {
	h.takeBack()
	h.asked, q.mute = q, saysNoStatus(h.node)
	specifier, err := q.specifier()
	if err != nil {
		h.proxy.server.log.Error("a proxy can't be asked the checks", "node", h.node.GetId(), "error", err)
		e := Event{Kind: Probed, Plan: q.plan.ID, Failed: []string{err.Error()}}
		if u := (*unaskable)(nil); errors.As(err, &u) {
			e.Keys = []string{u.probe.Key}
		}
		h.tell(e)
		if specifier, err = newInquiry(nothing, 0, trying).specifier(); err != nil {
			return err
		}
	}
	return h.stream.Send(specifier)
}

// lacking is how many flushes may lack what probes counted last that a proxy asks no more: with a cluster
// go the counts of it that were not flushed, and a flush may be on its way when that is said.
const lacking = 2

// takeBack notes that probes of real listeners are about to end; of a stream's first plan, those of
// the stream before.
func (h *healthStream) takeBack() {
	if h.asked != nil && !h.asked.meetsUsers() {
		return
	}
	h.proxy.mu.Lock()
	defer h.proxy.mu.Unlock()
	for _, m := range h.proxy.voices.metrics {
		m.lacks = lacking
	}
}

// take judges a report.
func (h *healthStream) take(r *healthv3.EndpointHealthResponse) error {
	now := time.Now()
	h.proxy.mu.Lock()
	h.proxy.voices.healthAt, h.heard = now, now
	h.proxy.mu.Unlock()
	h.proxy.listen(now)
	if h.asked == nil {
		return nil
	}
	v := h.asked.judge(r, now)
	if v.again {
		return h.ask(h.asked.anew(v.how))
	}
	if v.passed || len(v.failed) > 0 {
		h.tell(Event{Kind: Probed, Plan: h.asked.plan.ID, Passed: v.passed, Failed: v.failed, Keys: v.keys, Wrong: v.wrong, Before: v.before, Unsure: v.unsure})
	}
	return nil
}

// tell passes on a verdict, if it is of the node's plan: one that is good when each process
// of the node has given one, a bad one at once.
func (h *healthStream) tell(e Event) {
	h.proxy.mu.Lock()
	defer h.proxy.mu.Unlock()
	v := &h.proxy.voices
	if v.plan == nil || v.plan.ID != e.Plan {
		return
	}
	h.passed = PlanID{}
	if !e.Passed && v.newest() != h && unanswered(e.Wrong) {
		return
	}
	if e.Passed {
		h.passed = e.Plan
		if v.waitsFor(e.Plan, time.Now()) {
			return
		}
	}
	e.Node = h.node
	h.proxy.server.events.merge(e, mergeProbed)
}

// unanswered is whether no check was answered at all. Of a process beside a newer one it says
// only that it is on its way out, and listens no more.
func unanswered(wrong []Answer) bool {
	return len(wrong) > 0 && !slices.ContainsFunc(wrong, func(a Answer) bool { return a.Status != 0 })
}

// mergeProbed keeps a failure until it is taken.
func mergeProbed(older, newer Event) Event {
	if older.Plan == newer.Plan && len(older.Failed) > 0 && len(newer.Failed) == 0 {
		return older
	}
	return newer
}
