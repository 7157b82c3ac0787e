package control

import (
	"time"

	"github.com/waxwing-xds/waxwing/internal/deliver"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// What a proxy is to have is said here in the ids of revisions; internal/deliver makes of
// that what it is given.

// give has a proxy given what a fleet wants it to have.
func (c *Control) give(s *fleetState, n *nodeState, a rollout.Assignment) {
	if pairOf(a) != pairOf(n.target) {
		n.since = time.Now()
		n.given = n.since
	}
	n.target = a
	c.delivery.Give(c.order(s, n, a))
}

// pairOf are the revisions of an assignment.
func pairOf(a rollout.Assignment) snapshot.Pair {
	return snapshot.Pair{Live: snapshot.ParseRef(a.Live), Shadow: snapshot.ParseRef(a.Shadow)}
}

// order is an assignment for the delivery, with whose it is: what a proxy runs of the fleet
// that it comes from, or this one's.
func (c *Control) order(s *fleetState, n *nodeState, a rollout.Assignment) deliver.Order {
	o := deliver.Order{
		Node: n.node.GetId(), Fleet: s.key, Has: pairOf(a), Confirmed: s.rollout.Confirmed(a.Live), Whole: s.rollout.Tried(n.node.GetId()),
		Ask: deliver.Ask{Through: xds.Through(a.Probe), Of: a.Of, Again: a.Again, Among: s.rollout.AskedLike(a)},
	}
	if home := c.fleets[n.home]; home != nil {
		o.Home = home.key
		o.Before = s.mayHave(home, n)
	}
	if s.rollout.Serving.ID == "" {
		o.Before = append(o.Before, s.mayHaveHad()...)
	}
	return o
}

// mayHaveHad is what a proxy may have of which nothing is known, since the state directory
// was lost: nearly always what is on disk, and tried as a first revision now.
func (s *fleetState) mayHaveHad() []snapshot.Pair {
	tried := snapshot.Ref{ID: s.candidate().ID}
	if s.snapshots[tried.ID] == nil {
		return nil
	}
	return []snapshot.Pair{{Live: tried}, {Live: tried, Shadow: tried}}
}

// mayHave is what a proxy may have that has come back: what its home serves, or what it
// runs of that, alone or with the candidate in its shadow listeners.
func (s *fleetState) mayHave(home *fleetState, n *nodeState) []snapshot.Pair {
	serves, tried := home.serves(), snapshot.Ref{ID: s.candidate().ID}
	if home == s {
		serves.Fleet = ""
	}
	out := make([]snapshot.Pair, 0, 2) // there are seldom more, and this is for each proxy
	if serves.ID != "" {
		out = append(out, snapshot.Pair{Live: serves})
		if tried.ID != "" {
			out = append(out, snapshot.Pair{Live: serves, Shadow: tried})
		}
	}
	if n.base.ID != "" && n.base != serves {
		out = append(out, snapshot.Pair{Live: n.base, Shadow: tried})
	}
	return out
}
