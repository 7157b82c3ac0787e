package deliver

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// where is an address, for people.
func where(a *corev3.Address) string {
	if pipe := a.GetPipe(); pipe != nil {
		if strings.HasPrefix(pipe.GetPath(), "@waxwing/") {
			return "shadow"
		}
		return pipe.GetPath()
	}
	return fmt.Sprintf("%s:%d", a.GetSocketAddress().GetAddress(), a.GetSocketAddress().GetPortValue())
}

// asked is what a plan asks: "auth #1 GET / 7 200 by 127.0.0.1:80".
func asked(plan *xds.ProbePlan) []string {
	var out []string
	for _, p := range plan.Probes {
		text := fmt.Sprintf("%s %s %s at %s", strings.SplitN(p.Name, " (", 2)[0], p.Check.Headers[0].Value, p.Check.Path, where(p.Address))
		if p.Before {
			text += " before"
		}
		for _, h := range p.Extra {
			text += " " + h.Name + "=" + h.Value
		}
		out = append(out, text)
	}
	return out
}

// What a proxy is asked goes by the names in the order: through its shadow, with the real
// listener as it is beside it; through that; and now and then.
func TestPlans(t *testing.T) {
	d, s, kept := world(t)
	live := own(kept.put("edge", build(t, "{socket_address: {address: 127.0.0.1, port_value: 81}}", "1")))
	next := own(kept.put("edge", build(t, ingress, "2")))
	for _, c := range []struct {
		name             string
		has              snapshot.Pair
		ask              Ask
		interval, report time.Duration
		asked            []string
	}{
		{"shadow", snapshot.Pair{Live: live, Shadow: next}, Ask{Through: xds.ThroughShadow, Of: next.ID}, 20 * time.Millisecond, 100 * time.Millisecond, []string{
			"auth #1 7 / at shadow x-waxwing-check=auth#1", "auth #2 8 /x at shadow x-waxwing-check=auth#2 x-waxwing-upstream=503",
			"auth #1 7 / at 127.0.0.1:81 before x-waxwing-check=auth#1", "auth #2 8 /x at 127.0.0.1:81 before x-waxwing-check=auth#2",
		}},
		{"first shadow", snapshot.Pair{Shadow: next}, Ask{Through: xds.ThroughShadow, Of: next.ID}, 20 * time.Millisecond, 100 * time.Millisecond, []string{
			"auth #1 7 / at shadow x-waxwing-check=auth#1", "auth #2 8 /x at shadow x-waxwing-check=auth#2 x-waxwing-upstream=503",
		}},
		{"live", snapshot.Pair{Live: next, Shadow: live}, Ask{Through: xds.ThroughLive, Of: next.ID, Again: 2}, 100 * time.Millisecond, 100 * time.Millisecond, []string{
			"auth #1 7 / at 127.0.0.1:80 x-waxwing-check=auth#1", "auth #2 8 /x at 127.0.0.1:80 x-waxwing-check=auth#2",
		}},
		{"watch", snapshot.Pair{Live: live}, Ask{Through: xds.ThroughWatch, Of: live.ID}, time.Second, 500 * time.Millisecond, []string{
			"auth #1 7 / at 127.0.0.1:81 x-waxwing-check=auth#1", "auth #2 8 /x at 127.0.0.1:81 x-waxwing-check=auth#2",
		}},
	} {
		d.Give(Order{Node: "a", Fleet: "edge", Has: c.has, Ask: c.ask})
		plan := s.plans["a"]
		if plan == nil {
			t.Fatalf("%s: it is asked nothing", c.name)
		}
		want := xds.PlanID{Of: c.ask.Of, Through: c.ask.Through, Questions: kept[snapshot.Ref{Fleet: "edge", ID: c.ask.Of}].Questions(), Again: c.ask.Again}
		if plan.ID != want || plan.Interval != c.interval || plan.Report != c.report {
			t.Errorf("%s: %v each %v, reported each %v", c.name, plan.ID, plan.Interval, plan.Report)
		}
		for _, p := range plan.Probes {
			if !p.Before && !slices.Contains(kept[snapshot.Ref{Fleet: "edge", ID: c.ask.Of}].CheckKeys(), p.Key) {
				t.Errorf("%s: %s is of the check %q, which it does not have", c.name, p.Name, p.Key)
			}
		}
		if got := asked(plan); !slices.Equal(got, c.asked) {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.asked)
		}
	}
}

// A name tells two plans apart, and people what they are.
func TestPlanNames(t *testing.T) {
	a, again := xds.PlanID{Of: "r1", Through: xds.ThroughLive, Questions: "q"}, xds.PlanID{Of: "r1", Through: xds.ThroughLive, Questions: "q", Again: 1}
	if a.String() != "r1/live/q" || again.String() != "r1/live/q/1" {
		t.Errorf("%s and %s", a, again)
	}
}

// A proxy is asked nothing that it is not to be asked, that nobody knows, or that it could
// not be reached for.
func TestNothingAsked(t *testing.T) {
	d, s, kept := world(t)
	live := own(kept.put("edge", build(t, ingress, "1")))
	has, ask := snapshot.Pair{Live: live}, Ask{Through: xds.ThroughLive, Of: live.ID}
	for name, o := range map[string]Order{
		"not to be asked":           {Node: "a", Fleet: "edge", Has: has},
		"checks of what is gone":    {Node: "a", Fleet: "edge", Has: has, Ask: Ask{Through: xds.ThroughLive, Of: "gone"}},
		"what it has is not known":  {Node: "a", Fleet: "edge", Has: snapshot.Pair{Live: snapshot.Ref{ID: "gone"}}, Ask: ask},
		"a proxy that is not there": {Node: "c", Fleet: "edge", Has: has, Ask: ask},
	} {
		s.plans[o.Node] = &xds.ProbePlan{}
		d.Give(o)
		if s.plans[o.Node] != nil {
			t.Errorf("%s: it is asked %v", name, asked(s.plans[o.Node]))
		}
	}
	d.Give(Order{Node: "a", Fleet: "edge", Has: has, Ask: ask})
	d.Left("a")
	d.Give(Order{Node: "b", Fleet: "edge", Has: has, Ask: ask})
	d.Unmatched("b")
	if s.plans["a"] != nil || s.plans["b"] != nil || !slices.Equal(s.unmatched, []string{"b"}) {
		t.Errorf("they are asked %v and %v; without a fleet are %v", s.plans["a"], s.plans["b"], s.unmatched)
	}
}

// Services are asked as often as the fleet file says, by all proxies together.
func TestServicesAreSpared(t *testing.T) {
	for _, c := range []struct {
		name                    string
		through                 xds.Through
		among                   int
		probes                  fleet.Probes
		interval, later, beside time.Duration
	}{
		{"one", xds.ThroughLive, 1, fleet.Probes{}, 100 * time.Millisecond, time.Second, 0},
		{"as many as may", xds.ThroughLive, 50, fleet.Probes{}, 100 * time.Millisecond, time.Second, 0},
		{"twice as many", xds.ThroughLive, 100, fleet.Probes{}, 200 * time.Millisecond, time.Second, 0},
		{"ten thousand", xds.ThroughLive, 10_000, fleet.Probes{}, 20 * time.Second, 20 * time.Second, 0},
		{"said", xds.ThroughLive, 10, fleet.Probes{Interval: 20 * time.Millisecond, PerSecond: 100_000}, 20 * time.Millisecond, 200 * time.Millisecond, 0},
		{"few a second", xds.ThroughLive, 10, fleet.Probes{PerSecond: 5}, 4 * time.Second, 4 * time.Second, 0},
		{"watched", xds.ThroughWatch, 3, fleet.Probes{}, time.Second, 0, 0},
		{"many watched", xds.ThroughWatch, 10_000, fleet.Probes{}, 20 * time.Second, 0, 0},
		{"real ones beside a shadow", xds.ThroughShadow, 1000, fleet.Probes{}, 20 * time.Millisecond, 0, time.Second},
	} {
		ask := Ask{Through: c.through, Among: c.among}
		plan := schedule(ask, 1)
		plan.Probes = make([]xds.Probe, 2)
		spare(plan, ask, c.probes, 1)
		if plan.Interval != c.interval || plan.Later != c.later || plan.Beside != c.beside {
			t.Errorf("%s: each %v, later %v, beside %v", c.name, plan.Interval, plan.Later, plan.Beside)
		}
	}
}

// Ten thousand proxies report together what two thousand a second are.
func TestReportsOfManyProxies(t *testing.T) {
	for connected, want := range map[int]time.Duration{2: 100 * time.Millisecond, 1000: 500 * time.Millisecond, 10_000: 5 * time.Second} {
		if got := schedule(Ask{Through: xds.ThroughShadow}, connected).Report; got != want {
			t.Errorf("%d proxies report each %v, want %v", connected, got, want)
		}
	}
	if got := schedule(Ask{Through: xds.ThroughWatch}, 10_000).Report; got != 5*time.Second {
		t.Errorf("watched ones each %v", got)
	}
}

// A proxy reaches its listeners where it has them: on loopback what is bound to all, at the
// addresses that it asks for itself, and in the slot of its process.
func TestAddresses(t *testing.T) {
	for _, c := range []struct{ name, bound, meta, want string }{
		{"all", ingress, "", "127.0.0.1:80"},
		{"all of version 6", "{socket_address: {address: '::', port_value: 80}}", "", "::1:80"},
		{"one", "{socket_address: {address: 10.1.2.3, port_value: 80}}", "", "10.1.2.3:80"},
		{"a file", "{pipe: {path: /run/a.sock, mode: 438}}", "", "/run/a.sock"},
		{"its own", ingress, `{"listen": {"ingress": "18001"}}`, "127.0.0.1:18001"},
	} {
		d, s, kept := world(t)
		live := own(kept.put("edge", build(t, c.bound, "1")))
		if c.meta != "" {
			s.connect("a", xdstest.Metadata(t, c.meta))
		}
		d.Give(Order{Node: "a", Fleet: "edge", Has: snapshot.Pair{Live: live}, Ask: Ask{Through: xds.ThroughLive, Of: live.ID}})
		plan := s.plans["a"]
		if len(plan.Probes) != 2 || where(plan.Probes[0].Address) != c.want || plan.Probes[0].Address.GetPipe().GetMode() != 0 || plan.Probes[0].InSlot != nil {
			t.Errorf("%s: it is asked %v", c.name, asked(plan))
		}
	}
}

// The shadow listeners of a proxy that can't have abstract sockets have ports, of which each
// process of its id has others.
func TestAddressesInSlots(t *testing.T) {
	d, s, kept := world(t)
	live := own(kept.put("edge", build(t, ingress, "1")))
	s.connect("a", xdstest.Metadata(t, `{"waxwing": {"shadow": "127.0.0.1:18900"}}`))
	d.Give(Order{Node: "a", Fleet: "edge", Has: snapshot.Pair{Shadow: live}, Ask: Ask{Through: xds.ThroughShadow, Of: live.ID}})
	p := s.plans["a"].Probes[0]
	second, err := p.InSlot(1)
	if err != nil || where(p.Address) != "127.0.0.1:18900" || where(second) != "127.0.0.1:18910" {
		t.Errorf("it is asked at %s, and its second process at %s, %v", where(p.Address), where(second), err)
	}
}

// A listener at an address that Envoy can't ask is asked nothing, and the rest is.
func TestListenerThatCannotBeAsked(t *testing.T) {
	d, s, kept := world(t)
	live := own(kept.put("edge", build(t, ingress, "1")))
	s.connect("a", xdstest.Metadata(t, `{"listen": {"ingress": "nowhere"}}`))
	d.Give(Order{Node: "a", Fleet: "edge", Has: snapshot.Pair{Live: live}, Ask: Ask{Through: xds.ThroughLive, Of: live.ID}})
	if plan := s.plans["a"]; plan == nil || len(plan.Probes) != 0 {
		t.Errorf("it is asked %v", plan)
	}
}
