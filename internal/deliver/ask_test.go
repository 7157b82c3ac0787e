package deliver

import (
	"slices"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// A check is asked where it is meant to be, and can be, by its name and for as long as it says.
func TestWhereChecksAreAsked(t *testing.T) {
	d, s, kept := world(t)
	next := own(kept.put("edge", build(t, ingress, "2", "checks: [", `ready: 7s
    checks: [
      {name: slow, request: {headers: {token: "1"}}, timeout: 3s, expect: {status: [2xx, 404]}},
      {name: live only, where: [live], reason: the real service, request: {headers: {token: "2"}}, expect: {status: 200}},
      {request: {headers: {token: "3"}}, where: [sandbox], expect: {status: 200}},
      {request: {headers: {token: "4", x-waxwing-check: mine}}, expect: {status: 200, within: 2s}},
      {request: {headers: {token: "5"}}, callouts: [{cluster: service, failure: true}], expect: {status: 503}},
      {request: {headers: {token: "6"}, body: b, method: GET}, expect: {status: 200}},
      {request: {headers: {token: "6"}, trailers: {a: b}}, expect: {status: 200}},
      {request: {headers: {token: {bytes: "\xe9"}}}, expect: {status: 200}},
      {request: {headers: {token: "6"}, method: PURGE}, expect: {status: 200}},`)))
	for through, want := range map[xds.Through][]string{
		xds.ThroughShadow: {
			"auth #1 1 / at shadow x-waxwing-check=slow", "auth #2 4 / at shadow",
			"auth #3 7 / at shadow x-waxwing-check=auth#10", "auth #4 8 /x at shadow x-waxwing-check=auth#11 x-waxwing-upstream=503",
		},
		xds.ThroughLive: {
			"auth #1 1 / at 127.0.0.1:80 x-waxwing-check=slow", "auth #2 2 / at 127.0.0.1:80 x-waxwing-check=live only", "auth #3 4 / at 127.0.0.1:80",
			"auth #4 7 / at 127.0.0.1:80 x-waxwing-check=auth#10", "auth #5 8 /x at 127.0.0.1:80 x-waxwing-check=auth#11",
		},
	} {
		has := snapshot.Pair{Shadow: next}
		if through == xds.ThroughLive {
			has = snapshot.Pair{Live: next}
		}
		d.Give(Order{Node: "a", Fleet: "edge", Has: has, Ask: Ask{Through: through, Of: next.ID}})
		plan := s.plans["a"]
		if got := asked(plan); !slices.Equal(got, want) {
			t.Fatalf("%s:\n%q, want\n%q", through, got, want)
		}
		for i, p := range plan.Probes {
			timeout := map[string]time.Duration{"1": 3 * time.Second, "4": 2 * time.Second}[p.Check.Headers[0].Value]
			if p.Timeout != timeout || p.Ready != 7*time.Second {
				t.Errorf("probe %d has a timeout of %v, and is ready after %v", i+1, p.Timeout, p.Ready)
			}
		}
	}
}
