package control

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// How often the checks are asked. A shadow listener serves no one else, so that it
// is asked often, for a short time: a fault of one request in ten shows. A real
// one is asked for as long as its stage bakes.
const (
	shadowInterval = 20 * time.Millisecond
	liveInterval   = 100 * time.Millisecond
	watchInterval  = time.Second // of what is served and watched: for minutes, beside users' requests
	probeTimeout   = time.Second
	reportInterval = 100 * time.Millisecond
	watchReport    = 500 * time.Millisecond
	// reportsASecond bounds what the proxies of a large fleet report together.
	reportsASecond = 2000
)

// probes are the checks that a proxy is to be asked, nil for none.
func (c *Control) probes(s *fleetState, n *nodeState, a rollout.Assignment) *xds.ProbePlan {
	of := s.snapshots[a.Of]
	if a.Probe == rollout.ProbeNone || of == nil {
		return nil
	}
	plan := &xds.ProbePlan{
		ID: planID(of, a.Probe, a.Again), Interval: liveInterval, Timeout: probeTimeout, Shadow: a.Probe == rollout.ProbeShadow,
		Report: max(reportInterval, time.Duration(len(c.nodes))*time.Second/reportsASecond),
	}
	switch a.Probe {
	case rollout.ProbeShadow:
		plan.Interval = shadowInterval
	case rollout.ProbeWatch:
		plan.Interval, plan.Report = watchInterval, max(plan.Report, watchReport)
	default:
	}
	for _, e := range of.Entries() {
		if e.Shadow != (a.Probe == rollout.ProbeShadow) || e.Why != "" {
			continue
		}
		address, err := c.entryAddress(s, n, a, e)
		if err != nil {
			c.Log.Error("a proxy can't be asked the checks", "node", n.node.GetId(), "listener", e.Listener, "error", err)
			continue
		}
		for _, check := range of.Meta.Checks {
			if e.Has(check.Filter) {
				p := probe(check, e, address, len(plan.Probes))
				p.InSlot = c.inSlot(s, n, a, e)
				plan.Probes = append(plan.Probes, p)
			}
		}
	}
	if a.Probe == rollout.ProbeShadow {
		plan.Probes = append(plan.Probes, c.beforehand(s, n, a)...)
	}
	return plan
}

// beforehand are the checks of a candidate through the real listeners that the proxy has, while
// it proves it in its shadow: what fails before the flip is no evidence after it. They have
// the names that they will have then.
func (c *Control) beforehand(s *fleetState, n *nodeState, a rollout.Assignment) []xds.Probe {
	live := c.revision(s, a.Live)
	if live == nil || live.Closes {
		return nil
	}
	var out []xds.Probe
	i := 0
	for _, e := range s.snapshots[a.Of].Entries() {
		if e.Shadow || e.Why != "" {
			continue
		}
		now := slices.IndexFunc(live.Entries(), func(has snapshot.Entry) bool { return has.Listener == e.Listener && !has.Shadow && has.Why == "" })
		for _, check := range s.snapshots[a.Of].Meta.Checks {
			if !e.Has(check.Filter) {
				continue
			}
			if i++; now < 0 {
				continue
			}
			if address, err := c.entryAddress(s, n, a, live.Entries()[now]); err == nil {
				p := probe(check, e, address, i-1)
				p.Before = true
				out = append(out, p)
			}
		}
	}
	return out
}

// inSlot is where another process of the node id has a shadow listener. Streams call it.
func (c *Control) inSlot(s *fleetState, n *nodeState, a rollout.Assignment, e snapshot.Entry) func(int) (*corev3.Address, error) {
	if !e.Shadow {
		return nil
	}
	snap, node, listener := c.compose(s, a), n.node, e.Listener
	return func(slot int) (*corev3.Address, error) { return snap.ShadowAddress(listener, node, slot) }
}

// probe asks one check through one listener.
func probe(check snapshot.Check, e snapshot.Entry, address *corev3.Address, i int) xds.Probe {
	p := xds.Probe{
		Name: fmt.Sprintf("%s #%d (line %d: %s %s expects %d) by %s", check.Filter, i+1, check.Line, check.Method,
			filepath.Clean(check.Path), check.Status, e.Listener),
		Address: address, Check: check.Check, HTTP2: e.HTTP2,
	}
	if e.Shadow && check.Upstream != http.StatusOK {
		p.Extra = []fleet.Header{{Name: snapshot.UpstreamHeader, Value: strconv.Itoa(check.Upstream)}}
	}
	return p
}

// entryAddress is where a proxy reaches a listener of its own.
func (c *Control) entryAddress(s *fleetState, n *nodeState, a rollout.Assignment, e snapshot.Entry) (*corev3.Address, error) {
	if e.Shadow {
		return c.compose(s, a).ShadowAddress(e.Listener, n.node, 0)
	}
	address := e.Address
	asked, err := fleet.ListenAddresses(n.node)
	if err != nil {
		return nil, err
	}
	if asked[e.Listener] != nil {
		address = asked[e.Listener]
	}
	address = proto.CloneOf(address)
	if pipe := address.GetPipe(); pipe != nil {
		pipe.Mode = 0 // that of the file, which is there
	}
	if socket := address.GetSocketAddress(); socket != nil {
		switch socket.GetAddress() {
		case "0.0.0.0":
			socket.Address = "127.0.0.1"
		case "::":
			socket.Address = "::1"
		}
	}
	if why := fleet.Unasked(address); why != "" {
		return nil, fmt.Errorf("listener %q: %s", e.Listener, why)
	}
	return address, nil
}
