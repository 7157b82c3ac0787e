// Package deliver works out what each proxy is given, where the proxies are connected: the
// real listeners of one revision, the shadow listeners of another beside them, and the
// checks that it is to ask itself, at the addresses that it has. It is told in names alone
// which revisions that are, and finds these by a lookup: whoever decides need not be here.
package deliver

import (
	"log/slog"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// An Order is what a proxy is to have, as whoever decides says it: in plain values. Its
// names are of the revisions of Fleet, but for those that say another.
type Order struct {
	Node  string // the id of the proxy's
	Fleet string // the key of the fleet that decides
	Home  string // the key of the fleet that the proxy is of, "" for none: see xds.Target
	Has   snapshot.Pair
	// Confirmed says that what goes into the real listeners is known to be good.
	Confirmed bool
	// Whole says that it is yet to be proven on the proxy: see xds.Target.
	Whole bool
	// Before is what the proxy may have, if it was here before.
	Before []snapshot.Pair
	Ask    Ask
}

// An Ask is which checks a proxy is to be asked, and through which of its listeners.
type Ask struct {
	Through xds.Through
	Of      string // the ID of the revision that has the checks, of Order.Fleet
	Again   int    // counts how often they were asked anew
	Among   int    // how many proxies are asked so, this one among them
}

// Revisions is where revisions are kept.
type Revisions interface {
	// Revision finds one by its name, of which the fleet is a part always. It is nil where
	// what that was is not known, or not any more.
	Revision(name snapshot.Ref) *snapshot.Snapshot
}

// Streams are those of the proxies that are connected here: an *xds.Server, which says
// what each of these does.
type Streams interface {
	Node(id string) *corev3.Node
	Connected() int
	ProxiesOf(ids []string) []xds.ProxyStatus
	Stats() xds.Stats
	HealthOpen(id string) bool
	Ready() <-chan struct{}
	Events() []xds.Event
	Count(names []string)
	Remember(*snapshot.Snapshot)
	Twins() map[string]string
	SetTwins(map[string]string)

	Assign(id string, target xds.Target)
	Probe(id string, plan *xds.ProbePlan)
	Unmatched(id string)
	Retry(id string)
	Forgive(id string)
	SayAgain(id string)
}

// A Delivery carries orders out, and passes on what proxies do. It keeps no table of them:
// each is a row of the streams'. It is for one goroutine at a time.
type Delivery struct {
	Streams
	log       *slog.Logger
	revisions Revisions
	composer  composer
}

// New makes one. space sets the shadow listeners of this server's proxies apart from those
// of other servers' on one host: see snapshot.Compose.
func New(log *slog.Logger, streams Streams, revisions Revisions, space string) *Delivery {
	return &Delivery{Streams: streams, log: log, revisions: revisions, composer: newComposer(log, revisions, space)}
}

// Give gives a proxy what an order says. A proxy that is not connected is given it by the
// next order, when it has come.
func (d *Delivery) Give(o Order) {
	d.Assign(o.Node, d.target(o))
	d.Probe(o.Node, d.plan(o))
}

// Unmatched says that no fleet has a proxy: it keeps what it has, and is asked nothing.
func (d *Delivery) Unmatched(node string) {
	d.Streams.Unmatched(node)
	d.Probe(node, nil)
}

// Left says that a proxy has gone. It is asked again when it is back.
func (d *Delivery) Left(node string) { d.Probe(node, nil) }

// target is an order for the streams.
func (d *Delivery) target(o Order) xds.Target {
	t := xds.Target{
		Snapshot: d.composer.compose(o.Fleet, o.Has), Fleet: o.Fleet, Home: o.Home, Confirmed: o.Confirmed, Whole: o.Whole,
	}
	if _, closed := snapshot.IsClosed(o.Has.Live.ID); closed {
		t.Confirmed = true // what it takes away was opened for a first revision that was rejected
	}
	if from := o.Has.Live.Fleet; from != "" {
		t.Fleet, t.Confirmed = from, true // it is what the proxy is on, and goes back to
	}
	for _, before := range o.Before {
		if snap := d.composer.compose(o.Fleet, before); snap != nil {
			t.Before = append(t.Before, snap)
		}
	}
	return t
}

// VMs is how many Wasm VMs a worker of a proxy holds that has a pair of a fleet's revisions;
// 0 where that is not known.
func (d *Delivery) VMs(fleet string, has snapshot.Pair) int {
	if snap := d.composer.compose(fleet, has); snap != nil {
		return snap.VMs()
	}
	return 0
}

// Anew says that a fleet's proxies are to have something else from now on: what was composed
// for them is let go.
func (d *Delivery) Anew(fleet string) { d.composer.forget(fleet) }
