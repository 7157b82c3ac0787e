package xds

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// A proxy reports what the fuzzer says, step by step, on one health discovery stream. Each step is
// a byte, with what it needs behind it:
//
//	0  a message as bytes, as many as the next two say
//	1  a report on the probes of what it was told last, or, by the next byte, before: two bytes for each
//	2  time passes
//	3  it is to be asked something else
//	4  it says who it is once more
//
// FuzzHealth holds that nothing panics or waits for ever; that what is told is told of the proxy, of
// the plan that it has, of probes that are in it, and with statuses that there are; that a plan has
// passed only once each of its probes was reported healthy; and that what it is sent is valid, and
// no more than it gave cause for.
func FuzzHealth(f *testing.F) {
	healthy, wrong, bad := []byte{1, 0, 1, 200, 1, 200}, []byte{1, 0, 2, 200, 1, 200}, []byte{1, 0, 2, 3, 2, 4}
	f.Add(slices.Concat(healthy, []byte{2, 1}, healthy, healthy), false)
	f.Add(slices.Concat(wrong, []byte{2, 1}, wrong, wrong, []byte{3, 1}, healthy, bad, []byte{2, 90}, bad), true)
	f.Add(slices.Concat(slices.Repeat(bad, 12), []byte{3, 2}, healthy, []byte{3, 0, 4, 1}), false)
	raw, err := proto.Marshal(&healthv3.HealthCheckRequestOrEndpointHealthResponse{RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_EndpointHealthResponse{
		EndpointHealthResponse: &healthv3.EndpointHealthResponse{ClusterEndpointsHealth: []*healthv3.ClusterEndpointsHealth{{ClusterName: "x"}}},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slices.Concat([]byte{0, 0, byte(len(raw))}, raw, healthy), true)
	f.Fuzz(func(t *testing.T, script []byte, old bool) {
		if len(script) > 4<<10 {
			return
		}
		synctest.Test(t, func(t *testing.T) { playHealth(t, script, old) })
	})
}

func playHealth(t *testing.T, script []byte, old bool) {
	s := NewServer(slog.New(slog.DiscardHandler), Limits{})
	r := &reporter{t: t, server: s, script: script, in: make(chan *healthv3.HealthCheckRequestOrEndpointHealthResponse), healthy: map[string]bool{}}
	r.ctx, r.end = context.WithCancel(t.Context())
	s.Probe("a", plan("r0", "x", "y"))
	done := make(chan error, 1)
	go func() {
		defer r.end()
		done <- s.StreamHealthCheck(&grpc.GenericServerStream[healthv3.HealthCheckRequestOrEndpointHealthResponse, healthv3.HealthCheckSpecifier]{ServerStream: r})
	}()
	r.say(r.hello("a", old))
	r.play(func() {
		r.step()
		r.look()
	})
	r.end()
	<-done
	r.look()
	s.Probe("a", nil)
	if n := s.Stats().Proxies; n != 0 || s.health != 0 {
		t.Errorf("%d proxies, %d streams are there when it has ended", n, s.health)
	}
}

// A reporter is the proxy's end of the stream.
type reporter struct {
	grpc.ServerStream
	t *testing.T
	script
	server *Server
	ctx    context.Context
	end    context.CancelFunc
	in     chan *healthv3.HealthCheckRequestOrEndpointHealthResponse

	plans   int             // after the first
	spoke   int             // messages
	healthy map[string]bool // clusters that were reported so

	mu   sync.Mutex
	told []*healthv3.HealthCheckSpecifier
}

// Context implements grpc.ServerStream.
func (r *reporter) Context() context.Context { return r.ctx }

// SendMsg implements grpc.ServerStream.
func (r *reporter) SendMsg(m any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, m.(*healthv3.HealthCheckSpecifier))
	return nil
}

// RecvMsg implements grpc.ServerStream.
func (r *reporter) RecvMsg(m any) error {
	select {
	case said := <-r.in:
		proto.Merge(m.(proto.Message), said)
		return nil
	case <-r.ctx.Done():
		return io.EOF
	}
}

func (r *reporter) step() {
	switch r.next() % 5 {
	case 0:
		var m healthv3.HealthCheckRequestOrEndpointHealthResponse
		if err := proto.Unmarshal(r.piece(), &m); err == nil {
			r.say(&m)
		}
	case 1:
		r.say(r.report(int(r.next())))
	case 2:
		<-time.After(time.Duration(r.next()) * 50 * time.Millisecond)
	case 3:
		r.plan(r.next())
	case 4:
		r.say(r.hello([]string{"a", "b"}[r.next()%2], false))
	}
	synctest.Wait()
}

func (r *reporter) plan(b byte) {
	r.plans++
	var p *ProbePlan
	if b%4 != 0 {
		p = plan(fmt.Sprint("r", r.plans), []string{"x", "y", "z"}[:b%4]...)
		p.Later, p.Probes[0].Own = time.Duration(b)*time.Second, 0
		if b&8 != 0 {
			p.Probes[0].Own = 404
		}
		p.Probes[0].Before, p.Probes[0].Seen, p.Probes[0].Limited = b&16 != 0 && len(p.Probes) > 1, b&32 != 0, b&64 != 0
	}
	r.server.Probe("a", p)
}

func (r *reporter) hello(id string, old bool) *healthv3.HealthCheckRequestOrEndpointHealthResponse {
	node := xdstest.Node(id, "edge", nil)
	if old {
		node.UserAgentName = "envoy"
	}
	return &healthv3.HealthCheckRequestOrEndpointHealthResponse{RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_HealthCheckRequest{
		HealthCheckRequest: &healthv3.HealthCheckRequest{Node: node},
	}}
}

// fuzzStatuses are what a report says a probe was answered.
var fuzzStatuses = []float64{0, 200, 201, 403, 404, 429, 500, 503, 999, -1, 1e300, math.Inf(1), math.NaN(), 0.5}

// report is one on what it was told, so many times before the last.
func (r *reporter) report(before int) *healthv3.HealthCheckRequestOrEndpointHealthResponse {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &healthv3.EndpointHealthResponse{}
	if before = len(r.told) - 1 - before%4; before >= 0 {
		for _, c := range r.told[before].GetClusterHealthChecks() {
			health, status := corev3.HealthStatus(r.next()%6), r.next()
			number := float64(status)
			if int(status) < len(fuzzStatuses) {
				number = fuzzStatuses[status]
			}
			e := &healthv3.EndpointHealth{HealthStatus: health}
			e.HealthMetadata = &structpb.Struct{Fields: map[string]*structpb.Value{answerKey: structpb.NewNumberValue(number)}}
			out.ClusterEndpointsHealth = append(out.ClusterEndpointsHealth, &healthv3.ClusterEndpointsHealth{
				ClusterName: c.GetClusterName(), LocalityEndpointsHealth: []*healthv3.LocalityEndpointsHealth{{EndpointsHealth: []*healthv3.EndpointHealth{e}}},
			})
		}
	}
	return &healthv3.HealthCheckRequestOrEndpointHealthResponse{RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_EndpointHealthResponse{EndpointHealthResponse: out}}
}

func (r *reporter) say(m *healthv3.HealthCheckRequestOrEndpointHealthResponse) {
	r.spoke++
	for _, c := range m.GetEndpointHealthResponse().GetClusterEndpointsHealth() {
		for _, l := range c.GetLocalityEndpointsHealth() {
			for _, e := range l.GetEndpointsHealth() {
				if e.GetHealthStatus() == corev3.HealthStatus_HEALTHY {
					r.healthy[c.GetClusterName()] = true
				}
			}
		}
	}
	select {
	case r.in <- m:
	case <-r.ctx.Done():
	}
	synctest.Wait()
}

// look takes what the server tells.
func (r *reporter) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.told {
		if err := m.Validate(); err != nil {
			r.t.Errorf("it was sent %v: %v", m, err)
		}
	}
	if len(r.told) > r.spoke+r.plans+1 {
		r.t.Errorf("it was sent %d inquiries, said %d things, and was to be asked %d", len(r.told), r.spoke, r.plans+1)
	}
	for _, e := range r.server.Events() {
		if e.ID() != "a" {
			r.t.Errorf("it told of %q: %+v", e.ID(), e)
		}
		if e.Kind == Probed {
			r.probed(e)
		}
	}
}

func (r *reporter) probed(e Event) {
	if e.Passed == (len(e.Failed) > 0) || len(e.Keys) != len(e.Failed) || len(e.Wrong) != len(e.Failed) {
		r.t.Errorf("it tells neither, or both: %+v", e)
	}
	for _, a := range slices.Concat(e.Wrong, e.Before) {
		if a.Status != 0 && (a.Status < 100 || a.Status > 599) {
			r.t.Errorf("a probe was answered %d", a.Status)
		}
	}
	if !e.Passed {
		return
	}
	last := r.told[len(r.told)-1]
	for i, c := range last.GetClusterHealthChecks() {
		through := strings.Contains(c.GetClusterName(), e.Plan.String()+"/")
		if before := r.server.proxies["a"].voices.plan.Probes[i].Before; through && !before && !r.healthy[c.GetClusterName()] {
			r.t.Errorf("%s has passed, and %s was never healthy", e.Plan, c.GetClusterName())
		}
	}
}
