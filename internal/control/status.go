package control

import (
	"maps"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// Status is a copy of the state, as the admin API gives it out.
type Status struct {
	Fleets   []FleetStatus     `json:"fleets"`
	Proxies  []ProxyStatus     `json:"proxies"`
	Problems map[string]string `json:"problems,omitempty"` // by file, of files that no fleet was ever read from
}

// FleetStatus is one fleet.
type FleetStatus struct {
	Fleet     string              `json:"fleet"`
	Serving   rollout.Revision    `json:"serving"`   // the last good revision
	Candidate rollout.Revision    `json:"candidate"` // what is being tried
	Modules   []snapshot.Module   `json:"modules"`   // of the target
	Rejected  []rollout.Rejection `json:"rejected,omitempty"`
	Problem   string              `json:"problem,omitempty"` // why what is on disk can't be served
	Proxies   int                 `json:"proxies"`
}

// ProxyStatus is one connected proxy.
type ProxyStatus struct {
	Node      string            `json:"node"`
	Cluster   string            `json:"cluster,omitempty"`
	Fleet     string            `json:"fleet"` // "" when no fleet matches it
	Envoy     string            `json:"envoy"` // version
	Variant   string            `json:"variant"`
	Streams   int               `json:"streams"`
	State     State             `json:"state"`
	Since     time.Time         `json:"since"` // of the state
	Served    rollout.Revision  `json:"served"`
	Wanted    rollout.Revision  `json:"wanted"`
	Modules   []snapshot.Module `json:"modules,omitempty"` // of what it serves
	Connected time.Time         `json:"connected"`
	LastACK   *xds.Verdict      `json:"last_ack,omitempty"`
	LastNACK  *xds.Verdict      `json:"last_nack,omitempty"`
}

// A State sums a proxy up.
type State string

// The states of a proxy.
const (
	StateServing State = "serving" // it accepted all that it is to have
	StatePushing State = "pushing" // it is yet to accept it
	StateRefuses State = "refuses" // it refused it
	StateWaiting State = "waiting" // there is nothing to give it
)

// status copies the state for someone who asked.
func (c *Control) status() Status {
	out := Status{Fleets: []FleetStatus{}, Proxies: []ProxyStatus{}, Problems: maps.Clone(c.problems)}
	for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
		delete(out.Problems, name)
		out.Fleets = append(out.Fleets, c.fleetStatus(c.fleets[name]))
	}
	for _, p := range c.XDS.Proxies() {
		if n := c.nodes[p.Node.GetId()]; n != nil {
			out.Proxies = append(out.Proxies, c.proxyStatus(n, p))
		}
	}
	return out
}

func (c *Control) fleetStatus(s *fleetState) FleetStatus {
	out := FleetStatus{
		Fleet: s.name, Serving: s.rollout.Serving, Candidate: s.rollout.Candidate,
		Rejected: slices.Clone(s.rollout.Rejected), Problem: c.problems[s.name], Proxies: c.count(s.name),
	}
	if snap := s.snapshots[s.rollout.Target("")]; snap != nil {
		out.Modules = snap.Modules
	}
	return out
}

func (c *Control) proxyStatus(n *nodeState, p xds.ProxyStatus) ProxyStatus {
	out := ProxyStatus{
		Node: p.Node.GetId(), Cluster: p.Node.GetCluster(), Fleet: n.fleet, Envoy: xds.Version(p.Node),
		Variant: p.Variant, Streams: p.Streams, State: StateWaiting, Since: n.since, Connected: p.Connected,
		LastACK: p.LastACK, LastNACK: p.LastNACK,
	}
	s := c.fleets[n.fleet]
	if s == nil {
		return out
	}
	served, wanted := s.rollout.ServedBy(out.Node), s.rollout.Target(out.Node)
	out.Served = rollout.Revision{ID: served, Number: s.number(served)}
	out.Wanted = rollout.Revision{ID: wanted, Number: s.number(wanted)}
	if snap := s.snapshots[served]; snap != nil {
		out.Modules = snap.Modules
	}
	switch {
	case wanted == "":
	case served == wanted:
		out.State = StateServing
	case p.Halted:
		out.State = StateRefuses
	default:
		out.State = StatePushing
	}
	return out
}
