package control

import (
	"maps"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/xds"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// asTwin has a process come under a name of its own, whose node id another one has.
func (c *Control) asTwin(t *testing.T, id, said, labels string, fresh bool) {
	t.Helper()
	meta := xdstest.Metadata(t, `{"labels": `+labels+`}`)
	meta.Fields[fleet.SaidIDKey] = structpb.NewStringValue(said)
	c.proxyEvents([]xds.Event{{Kind: xds.Connected, Fresh: fresh, Node: &corev3.Node{Id: id, Cluster: "edge", Metadata: meta}}})
}

// Processes with one node id and different labels are each of the fleet of their own labels,
// also where that goes by the id; each says what the other has; and whose the id is as a name
// survives a restart.
func TestTwinsHaveFleetsOfTheirOwn(t *testing.T) {
	c, dir := oneFleet(t)
	c.saves(t, 1, map[string]string{"inner.yaml": fileOfFleet("inner", `{cluster: edge, id: "a", labels: {tier: inner}}`, 2)})
	c.delivery.SetTwins(map[string]string{"a": "1234"})
	c.asTwin(t, "a~5678", "a", `{"tier": "inner"}`, true)
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge", "a~5678": "inner"})
	for _, id := range []string{"a", "a~5678"} {
		text := c.twinsText(c.nodes[id])
		for _, want := range []string{"the node id a is used by", "a has {cluster: edge}", "a~5678 has {cluster: edge, label.tier: inner}", "--service-node"} {
			if !strings.Contains(text, want) {
				t.Errorf("of %s it is said %q, without %q", id, text, want)
			}
		}
	}
	c.disk()
	c = c.restarted(t, dir)
	if got := c.delivery.Twins(); !maps.Equal(got, map[string]string{"a": "1234"}) {
		t.Errorf("after a restart it is known that %v", got)
	}
	c.proxyEvents([]xds.Event{{Kind: xds.Disconnected, Node: &corev3.Node{Id: "a"}}})
	c.asTwin(t, "a~5678", "a", `{"tier": "inner"}`, false)
	if text := c.twinsText(c.nodes["a~5678"]); !strings.Contains(text, "a has left") {
		t.Errorf("it is said %q", text)
	}
	c.proxyEvents([]xds.Event{{Kind: xds.Disconnected, Node: c.nodes["a~5678"].node}})
	if len(c.twins.named) > 0 {
		t.Errorf("%v have left", c.twins.named)
	}
}

// Where certificates tell the processes apart it is said which each has.
func TestTwinsByCertificate(t *testing.T) {
	c, _ := oneFleet(t)
	for id, name := range map[string]string{"a": "host-a", "a~5678": "host-b"} {
		n := &corev3.Node{Id: "a", Cluster: "edge"}
		fleet.SetCertificate(n, name)
		if id != "a" {
			fleet.Rename(n, id)
		}
		c.proxyEvents([]xds.Event{{Kind: xds.Disconnected, Node: &corev3.Node{Id: id}}, {Kind: xds.Connected, Node: n}})
	}
	text := c.twinsText(c.nodes["a"])
	for _, want := range []string{
		"the node id a is used by processes with different certificates", `a has {cluster: edge} and the certificate of "host-a"`, `a~5678 has {cluster: edge} and the certificate of "host-b"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it is said %q, without %q", text, want)
		}
	}
}

// A proxy that may have a fleet's first revision already is of that fleet after a restart of
// the server, though another fleet's match in force is for it, too.
func TestFirstRevisionGoesOnAfterRestart(t *testing.T) {
	c, dir := oneFleet(t)
	c.saves(t, 1, map[string]string{"inner.yaml": fileOfFleet("inner", "{cluster: edge, labels: {tier: outer}}", 2)})
	c.says(t, "c", `{"tier": "outer"}`, true)
	c.mustBe(t, map[string]string{"c": "inner"})
	if c.fleets["inner"].rollout.Serving.ID != "" {
		t.Fatal("it is served already")
	}
	c.disk()
	c = c.restarted(t, dir)
	c.says(t, "c", `{"tier": "outer"}`, false)
	c.mustBe(t, map[string]string{"c": "inner"})
	c.follow()
	c.mustBe(t, map[string]string{"c": "inner"})
	if c.fleets["inner"].rollout.Serving.ID == "" {
		t.Error("it is not served")
	}
}
