package xds

import (
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// What a listener's configuration answers itself is as good as what the check expects, and is
// counted as what it is; unless a filter sends the request to the service all the same: then only
// that counts from there on. Anything else is a failure.
func TestConfigurationAnswers(t *testing.T) {
	own := xdstest.Result{Health: corev3.HealthStatus_HEALTHY, Status: 404}
	for _, c := range []struct {
		name          string
		first, second xdstest.Result
		class         string // of the latched probe
		expects       int    // how many statuses
		body          bool   // it looks at the body
		failed        string
	}{
		{"the configuration", own, own, "4xx", 2, false, ""},
		{"the configuration, and then a filter", own, wrong, "4xx", 2, false, "x: UNHEALTHY (it was answered 503)"},
		{"the configuration, and something else once", own, xdstest.Result{Health: corev3.HealthStatus_UNHEALTHY, Status: 404}, "4xx", 2, false, "x: UNHEALTHY (once, and 404 again now)"},
		{"the service", good, good, "2xx", 1, true, ""},
		{"the service, and then the configuration", good, xdstest.Result{Health: corev3.HealthStatus_UNHEALTHY, Status: 404}, "2xx", 1, true, "x: UNHEALTHY (it was answered 404)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pl := plan("r1/live", "x")
			part := fleet.Octets("part")
			pl.ID.Through, pl.Probes[0].Own = ThroughLive, 404
			pl.Probes[0].Check.Expect.Body.Contains = []fleet.Octets{part}
			h, p := probing(t, pl)
			first := h.told(p, 1)
			if got := first.GetClusterHealthChecks()[0]; !strings.HasPrefix(got.GetClusterName(), "waxwing-probe/4xx/") || len(got.GetHealthChecks()[0].GetHttpHealthCheck().GetReceive()) != 0 {
				t.Errorf("it is asked %v", got)
			}
			second := h.latched(p, 1, c.first)
			got := second.GetClusterHealthChecks()[0]
			check := got.GetHealthChecks()[0].GetHttpHealthCheck()
			if !strings.HasPrefix(got.GetClusterName(), "waxwing-probe/"+c.class+"/") || len(check.GetExpectedStatuses()) != c.expects || len(check.GetReceive()) > 0 != c.body {
				t.Errorf("it is asked %v", got)
			}
			h.report(p, second, c.second)
			if e := h.expect(Probed, "a"); e.Passed != (c.failed == "") || !strings.HasPrefix(strings.Join(e.Failed, ""), c.failed) {
				t.Errorf("%+v", e)
			}
		})
	}
}
