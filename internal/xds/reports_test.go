package xds

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// said is a report on one probe, of an Envoy before 1.40: without a status.
func said(q *inquiry, r xdstest.Result) *healthv3.EndpointHealthResponse {
	e := &healthv3.EndpointHealth{HealthStatus: r.Health}
	if r.Status != 0 {
		e.HealthMetadata = &structpb.Struct{Fields: map[string]*structpb.Value{answerKey: structpb.NewNumberValue(float64(r.Status))}}
	}
	return &healthv3.EndpointHealthResponse{ClusterEndpointsHealth: []*healthv3.ClusterEndpointsHealth{{
		ClusterName:             q.cluster(0),
		LocalityEndpointsHealth: []*healthv3.LocalityEndpointsHealth{{EndpointsHealth: []*healthv3.EndpointHealth{e}}},
	}}}
}

// A script of reports: what each says, how long after the one before it came in,
// and what it means.
type scripted struct {
	after time.Duration
	says  xdstest.Result
	means string // "open", "passed", "failed", "again", "latch"
}

func (v reportVerdict) String() string {
	switch {
	case len(v.failed) > 0:
		return "failed"
	case v.passed:
		return "passed"
	case v.how.latches():
		return "latch"
	case v.again:
		return "again"
	}
	return "open"
}

func TestJudge(t *testing.T) {
	const tick, stall = 100 * time.Millisecond, 2 * time.Second
	repeat := func(n int, s scripted) []scripted { return slices.Repeat([]scripted{s}, n) }
	for _, c := range []struct {
		name    string
		how     manner
		reports []scripted
	}{
		{"passes at first", trying, []scripted{{tick, silent, "open"}, {tick, good, "latch"}}},
		{"passes", latched, []scripted{{tick, silent, "open"}, {tick, good, "passed"}, {tick, good, "passed"}}},
		{"fails on the first answer", latched, []scripted{{tick, silent, "open"}, {tick, wrong, "failed"}}},
		{"a new listener is refused for a while", trying, slices.Concat(repeat(10, scripted{tick, silent, "open"}), []scripted{{tick, good, "latch"}})},
		// Nothing but time tells, where no status does: 25 ms a report, a timeout of 1 s, and the beginning.
		{"no answer ever, at first", trying, slices.Concat(repeat(41, scripted{40 * time.Millisecond, silent, "open"}), []scripted{{40 * time.Millisecond, silent, "failed"}})},
		{"no answer ever", latched, slices.Concat(repeat(11, scripted{tick, silent, "open"}), []scripted{{tick, silent, "failed"}})},
		{"reports that came in a bunch", latched, slices.Concat(repeat(11, scripted{0, silent, "open"}), []scripted{{0, good, "passed"}})},
		{"an Envoy that gives no status fails", latched, []scripted{{tick, xdstest.Result{Health: corev3.HealthStatus_HEALTHY}, "passed"}, {tick, silent, "failed"}}},
		{"times out", latched, []scripted{{tick, good, "passed"}, {tick, timeout, "failed"}}},
		{"times out in a late report", latched, []scripted{{tick, good, "passed"}, {stall, timeout, "again"}}},
		// Envoy's timer of reports is due before that of the request.
		{"times out after a late report", latched, []scripted{{tick, good, "passed"}, {stall, good, "passed"}, {tick, timeout, "again"}}},
		{"times out long after a late report", latched, []scripted{{stall, good, "passed"}, {stall, good, "passed"}, {tick, good, "passed"}, {tick, timeout, "failed"}}},
		{"times out late, at first", trying, []scripted{{tick, silent, "open"}, {stall, timeout, "open"}, {tick, timeout, "open"}, {tick, timeout, "failed"}}},
		{"is wrong in a late report", latched, []scripted{{tick, good, "passed"}, {stall, wrong, "failed"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pl := plan("r/live", "x")
			pl.Timeout = time.Second
			q := newInquiry(pl, 0, c.how)
			now := time.Now()
			for i, r := range c.reports {
				now = now.Add(r.after)
				if got := q.judge(said(q, r.says), now).String(); got != r.means {
					t.Fatalf("report %d: %s, want %s", i+1, got, r.means)
				}
			}
		})
	}
}
