package xds

import (
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// A probe that has passed a hundred times is asked less often, for as long as it passes.
func TestProbesSlowDown(t *testing.T) {
	good := xdstest.Result{Health: corev3.HealthStatus_HEALTHY, Status: 200}
	pl := plan("r/live", "x")
	pl.Later = 10 * pl.Interval
	q, now := newInquiry(pl, 0, latched), time.Now()
	asked := time.Duration(0)
	for {
		now = now.Add(pl.Report)
		v := q.judge(said(q, good), now)
		if v.again {
			if v.how != sparing {
				t.Errorf("it is asked anew: %+v", v)
			}
			break
		}
		if asked += pl.Report; !v.passed || asked > 2*often*pl.Interval {
			t.Fatalf("after %v: %+v", asked, v)
		}
	}
	if asked < often*pl.Interval {
		t.Errorf("it slows down after %v", asked)
	}
	q = newInquiry(pl, 0, sparing)
	if got := q.healthCheck(0, pl.Probes[0]).GetInterval().AsDuration(); got != pl.Later {
		t.Errorf("then it asks each %v", got)
	}
	for range 4 * often {
		if now = now.Add(pl.Report); !q.judge(said(q, good), now).passed {
			t.Fatal("it is asked anew once more")
		}
	}
}

// Proxies that are asked seldom begin at different moments, and have until then to answer.
func TestProbesBeginApart(t *testing.T) {
	silent := xdstest.Result{Health: corev3.HealthStatus_UNHEALTHY}
	pl := plan("r/live", "x")
	if jitter := newInquiry(pl, 0, trying).healthCheck(0, pl.Probes[0]).GetInitialJitter(); jitter != nil {
		t.Errorf("asked each %v it begins within %v", pl.Interval, jitter.AsDuration())
	}
	pl.Interval, pl.Timeout = 20*time.Second, time.Second
	again := *pl
	if again.ID.Again++; newInquiry(&again, 0, trying).healthCheck(0, pl.Probes[0]).GetInitialJitter() != nil {
		t.Error("it waits when it is asked anew")
	}
	for _, how := range []manner{trying, latched} {
		q, now := newInquiry(pl, 0, how), time.Now()
		if jitter := q.healthCheck(0, pl.Probes[0]).GetInitialJitter().AsDuration(); jitter != pl.Interval {
			t.Errorf("it begins within %v", jitter)
		}
		waited := time.Duration(0)
		for len(q.judge(said(q, silent), now).failed) == 0 {
			if waited += q.report(); waited > time.Minute {
				t.Fatal("no answer in a minute is none")
			}
			now = now.Add(q.report())
		}
		if waited < pl.Interval+pl.Timeout {
			t.Errorf("asked in manner %v: it has failed after %v", how, waited)
		}
	}
}
