package xds

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// ofVersion has a proxy be an Envoy 1.minor.
func ofVersion(node *corev3.Node, minor uint32) *corev3.Node {
	node.UserAgentName = "envoy"
	node.UserAgentVersionType = &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{
		Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: minor},
	}}
	return node
}

// scoped is a snapshot with a listener as any and so many whose routes are by scopes.
func scoped(t *testing.T, n int) *snapshot.Snapshot {
	t.Helper()
	var ports []int
	for i := range n {
		ports = append(ports, 19000+i)
	}
	return buildOf(t, scopedText(ports...), "module")
}

// scopedText is the fleet file of one, by the ports of those.
func scopedText(ports ...int) string {
	text := strings.ReplaceAll(fleetYAML, "%s", "echo")
	for _, port := range ports {
		text = strings.Replace(text, "  clusters:\n", fmt.Sprintf(`    - name: scoped-%[1]d
      address: {socket_address: {address: 127.0.0.1, port_value: %[1]d}}
      filter_chains:
        - filters:
            - name: hcm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: scoped
                scoped_routes:
                  name: scopes
                  scope_key_builder: {fragments: [{header_value_extractor: {name: x, index: 0}}]}
                  rds_config_source: {ads: {}}
                  scoped_rds: {scoped_rds_config_source: {ads: {}}}
                http_filters:
                  - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
`, port), 1)
	}
	return text
}

// An Envoy before 1.38 never asks for the scopes of a listener that comes after its start: such a
// revision is refused in its place, with the reason, and nothing of it is sent. It is given what it
// starts with, and a listener more where it asks for scopes already.
func TestScopesBeforeEnvoy138(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		for name, c := range map[string]struct {
			minor   uint32
			steps   []int // how many listeners with scopes there are, one revision after the other
			refused bool  // the last of them
		}{
			"after its start":         {37, []int{0, 1}, true},
			"in a later version":      {38, []int{0, 1}, false},
			"at its start":            {37, []int{1}, false},
			"one more":                {37, []int{1, 2}, false},
			"after the last has gone": {37, []int{1, 0, 1}, true},
			"and in a later version":  {38, []int{1, 0, 1}, false},
			"it goes":                 {37, []int{1, 0}, false},
		} {
			h := serve(t, Limits{})
			p := xdstest.New(xdstest.Config{
				Node: ofVersion(xdstest.Node("a", "edge", nil), c.minor), SotW: sotw,
				Names: map[string][]string{resource.ExtensionConfigType: {"auth"}},
			})
			if c.steps[0] > 0 || c.minor > 37 {
				p = xdstest.New(xdstest.Config{
					Node: ofVersion(xdstest.Node("a", "edge", nil), c.minor), SotW: sotw,
					Names: map[string][]string{resource.ExtensionConfigType: {"auth"}, resource.ScopedRouteType: {"*"}},
				})
			}
			t.Cleanup(p.Close)
			h.start(p, "a", scoped(t, c.steps[0]))
			for i, n := range c.steps[1:] {
				from := len(p.Responses())
				h.Assign("a", scoped(t, n))
				if e := h.next(); i < len(c.steps)-2 || !c.refused {
					if e.Kind != Served {
						t.Fatalf("%s: %+v", name, e)
					}
				} else if e.Kind != Rejected || e.Trouble || !strings.Contains(e.Message, "needs Envoy 1.38") || len(sent(p, from)) > 0 {
					t.Errorf("%s: %+v, it was sent %v", name, e, sent(p, from))
				}
			}
			if !c.refused {
				continue
			}
			h.Assign("a", scoped(t, 0)) // what it has
			h.expect(Served, "a")
		}
	})
}

// What an Envoy was answered it says from 1.40 on. One before is asked so that it takes a rate
// limit's refusal for a pass, where that tells nothing.
func TestRateLimitBeforeEnvoy140(t *testing.T) {
	for name, c := range map[string]struct {
		minor   uint32
		limited bool
		takes   bool
	}{
		"an old one":                    {39, true, true},
		"one that says it":              {40, true, false},
		"where no shadow has proven it": {39, false, false},
	} {
		p := plan("r1/live", "x")
		p.Probes[0].Limited = c.limited
		q := newInquiry(p, 0, trying)
		q.mute = saysNoStatus(ofVersion(xdstest.Node("a", "edge", nil), c.minor))
		s, err := q.specifier()
		if err != nil {
			t.Fatal(err)
		}
		takes := false
		for _, r := range s.GetClusterHealthChecks()[0].GetHealthChecks()[0].GetHttpHealthCheck().GetExpectedStatuses() {
			takes = takes || r.GetStart() == http.StatusTooManyRequests && r.GetEnd() == http.StatusTooManyRequests+1
		}
		if takes != c.takes {
			t.Errorf("%s: it takes a 429: %t", name, takes)
		}
	}
	if saysNoStatus(xdstest.Node("a", "edge", nil)) {
		t.Error("one of which nothing is known is taken for an old Envoy")
	}
}
