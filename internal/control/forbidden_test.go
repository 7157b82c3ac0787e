package control

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/xds"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// comes has a proxy connect whose certificate lets it be of some fleets.
func (c *Control) comes(t *testing.T, id, labels string, fresh bool, fleets ...string) {
	t.Helper()
	n := &corev3.Node{Id: id, Cluster: "edge", Metadata: xdstest.Metadata(t, `{"labels": `+labels+`}`)}
	fleet.Restrict(n, fleets)
	c.proxyEvents([]xds.Event{{Kind: xds.Connected, Fresh: fresh, Node: n}})
}

// A proxy is of no fleet that its certificate does not let it be of, whatever matches it: it is
// of another that matches it, or gets nothing, which is told. That holds also for one that was
// of the fleet before, with another certificate or none.
func TestForbiddenFleets(t *testing.T) {
	for _, fresh := range []bool{true, false} {
		c, dir := twoFleets(t)
		told := map[string]string{}
		c.Forbidden = func(node, fleet string) { told[node] = fleet }
		c.comes(t, "c", `{"tier": "inner"}`, fresh, "edge")
		c.comes(t, "d", `{"tier": "inner"}`, fresh, "inner")
		c.comes(t, "e", `{"tier": "inner"}`, fresh, "other")
		c.comes(t, "a", `{}`, fresh, "inner") // which was of edge
		c.follow()
		c.mustBe(t, map[string]string{"a": " kept", "b": "inner", "c": "edge", "d": "inner", "e": " kept"})
		for _, id := range []string{"a", "e"} {
			if got := c.nodes[id].target; got.Live+got.Shadow != "" {
				t.Errorf("fresh %t: %s is to have %+v", fresh, id, got)
			}
		}
		if told["e"] != "inner" || told["a"] != "edge" || len(told) != 2 {
			t.Errorf("fresh %t: told %v", fresh, told)
		}
		c = c.restarted(t, dir)
		c.comes(t, "a", `{}`, fresh, "inner")
		c.follow()
		if got := c.nodes["a"].target; got.Live+got.Shadow != "" {
			t.Errorf("fresh %t: after a restart it is to have %+v", fresh, got)
		}
		if got := c.proxyStatus(c.nodes["a"], xds.ProxyStatus{Node: c.nodes["a"].node}); got.Forbidden != "edge" || got.State != api.ProxyWaiting {
			t.Errorf("fresh %t: its status is %+v", fresh, got)
		}
	}
}
