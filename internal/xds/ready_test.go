package xds

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// reportOf is a report in which each probe of an inquiry has a health and a status.
func reportOf(q *inquiry, health corev3.HealthStatus, status int) *healthv3.EndpointHealthResponse {
	out := &healthv3.EndpointHealthResponse{}
	for i := range q.plan.Probes {
		e := &healthv3.EndpointHealth{HealthStatus: health}
		if status > 0 {
			e.HealthMetadata = &structpb.Struct{Fields: map[string]*structpb.Value{answerKey: structpb.NewNumberValue(float64(status))}}
		}
		out.ClusterEndpointsHealth = append(out.ClusterEndpointsHealth, &healthv3.ClusterEndpointsHealth{
			ClusterName:             q.cluster(i),
			LocalityEndpointsHealth: []*healthv3.LocalityEndpointsHealth{{EndpointsHealth: []*healthv3.EndpointHealth{e}}},
		})
	}
	return out
}

// A filter that may take its time is not judged before that is over; it counts as soon as it
// has answered well, and from then on each time.
func TestReady(t *testing.T) {
	began := time.Now()
	p := plan("r1/shadow", "x")
	p.Probes[0].Ready = 10 * time.Second
	q := newInquiry(p, 0, trying)
	wrong := reportOf(q, corev3.HealthStatus_UNHEALTHY, 503)
	for at := time.Duration(0); at < 10*time.Second; at += 100 * time.Millisecond {
		if v := q.judge(wrong, began.Add(at)); len(v.failed) > 0 {
			t.Fatalf("it is judged after %v: %v", at, v.failed)
		}
	}
	if v := q.judge(wrong, began.Add(10*time.Second)); len(v.failed) != 1 {
		t.Errorf("it is not judged after 10s: %+v", v)
	}
	q = newInquiry(p, 0, trying)
	q.judge(reportOf(q, corev3.HealthStatus_UNHEALTHY, 503), began)
	if v := q.judge(reportOf(q, corev3.HealthStatus_HEALTHY, 200), began.Add(time.Second)); !v.how.latches() {
		t.Errorf("that it is ready is not noticed: %+v", v)
	}
	q = newInquiry(p, 0, latched)
	q.judge(reportOf(q, corev3.HealthStatus_HEALTHY, 200), began)
	if v := q.judge(reportOf(q, corev3.HealthStatus_UNHEALTHY, 503), began.Add(time.Second)); len(v.failed) != 1 {
		t.Errorf("a failure after it was ready does not count: %+v", v)
	}
}

// A probe waits for as long as it says, and expects each of its statuses.
func TestProbeOfItsOwn(t *testing.T) {
	p := plan("r1/shadow", "x", "y")
	p.Probes[1].Timeout = 3 * time.Second
	p.Probes[1].Check.Expect.Statuses = []fleet.StatusRange{{From: 400, To: 499}, {From: 200, To: 200}}
	q := newInquiry(p, 0, trying)
	s, err := q.specifier()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Duration{10 * time.Second, 3 * time.Second} {
		if got := s.GetClusterHealthChecks()[i].GetHealthChecks()[0].GetTimeout().AsDuration(); got != want {
			t.Errorf("probe %d waits for %v, want %v", i+1, got, want)
		}
	}
	ranges := s.GetClusterHealthChecks()[1].GetHealthChecks()[0].GetHttpHealthCheck().GetExpectedStatuses()
	if len(ranges) != 2 || ranges[0].GetStart() != 400 || ranges[0].GetEnd() != 500 || ranges[1].GetStart() != 200 || ranges[1].GetEnd() != 201 {
		t.Errorf("it expects %v", ranges)
	}
	v := q.judge(reportOf(q, corev3.HealthStatus_TIMEOUT, 0), time.Now())
	if len(v.failed) != 2 || v.failed[0] != "x: TIMEOUT (no answer within 10s)" || v.failed[1] != "y: TIMEOUT (no answer within 3s)" {
		t.Errorf("it says %q", v.failed)
	}
}

// A probe sends its body, and looks for what is in the answer's: what is wrong there is said.
func TestProbeOfBodies(t *testing.T) {
	p := plan("r1/shadow", "x", "y")
	for i := range p.Probes {
		p.Probes[i].Check.Method, p.Probes[i].Check.Body = "POST", "\xff\x01"
		p.Probes[i].Check.Expect.Body.Contains = []fleet.Octets{"a", "", "b"}
	}
	p.Probes[1].Seen = true
	q := newInquiry(p, 0, latched)
	s, err := q.specifier()
	if err != nil {
		t.Fatal(err)
	}
	check := s.GetClusterHealthChecks()[0].GetHealthChecks()[0].GetHttpHealthCheck()
	if check.GetSend().GetText() != "ff01" || len(check.GetReceive()) != 2 || check.GetReceive()[1].GetText() != "62" || check.GetResponseBufferSize().GetValue() != maxLooked {
		t.Errorf("it asks %v", check)
	}
	v := q.judge(reportOf(q, corev3.HealthStatus_UNHEALTHY, 200), time.Now())
	if len(v.failed) != 2 || v.failed[0] != "x: UNHEALTHY (it was answered 200, and not with the body that is expected, now or once)" {
		t.Errorf("it says %q", v.failed)
	}
	v = q.judge(reportOf(q, corev3.HealthStatus_UNHEALTHY, 491), time.Now())
	if len(v.failed) != 2 || v.failed[1] != "y: UNHEALTHY (the service would not see what it is to see: it was answered 491)" {
		t.Errorf("it says %q", v.failed)
	}
	p.Probes[0].Check.Method = "GET" // with which Envoy aborts
	if _, err := newInquiry(p, 0, latched).specifier(); err == nil {
		t.Error("a body is sent by GET")
	}
}
