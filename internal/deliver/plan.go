package deliver

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// How often the checks are asked. A shadow listener serves no one else, so that it
// is asked often, for a short time: a fault of one request in ten shows. A real
// one is asked for as long as its stage bakes, and has a service behind it: as often as the fleet
// file says (fleet.Probes), and after the first hundred requests at a tenth of that.
const (
	shadowInterval = 20 * time.Millisecond
	watchInterval  = time.Second // of what is served and watched: for minutes, beside users' requests
	slowDown       = 10
	probeTimeout   = fleet.DefaultTimeout
	reportInterval = 100 * time.Millisecond
	watchReport    = 500 * time.Millisecond
	// reportsASecond bounds what the proxies of a server report together.
	reportsASecond = 2000
)

// plan are the checks that a proxy is to be asked, nil for none.
func (d *Delivery) plan(o Order) *xds.ProbePlan {
	if o.Ask.Through == xds.ThroughNothing {
		return nil
	}
	of := d.revisions.Revision(snapshot.Ref{Fleet: o.Fleet, ID: o.Ask.Of})
	in := place{snap: d.composer.compose(o.Fleet, o.Has), node: d.Node(o.Node)}
	if of == nil || in.snap == nil || in.node == nil {
		return nil
	}
	plan := schedule(o.Ask, d.Connected())
	plan.ID.Questions = of.Questions()
	plan.Probes = d.probes(in, of, o.Ask.Through == xds.ThroughShadow)
	if o.Ask.Through != xds.ThroughShadow && provenInShadow(of) {
		for i := range plan.Probes {
			plan.Probes[i].Limited = true
		}
	}
	before := []xds.Probe(nil)
	if o.Ask.Through == xds.ThroughShadow {
		before = beforehand(in, of, d.composer.find(o.Fleet, o.Has.Live))
		plan.Probes = append(plan.Probes, before...)
	}
	spare(plan, o.Ask, of.Meta.Rollout.Probes, len(before))
	return plan
}

// provenInShadow is whether proxies answer checks of a revision in shadow listeners, where no rate
// limit is.
func provenInShadow(of *snapshot.Snapshot) bool {
	return slices.ContainsFunc(of.Entries(), func(e snapshot.Entry) bool {
		return e.Shadow && e.Why == "" && slices.ContainsFunc(of.Meta.Checks, func(c snapshot.Check) bool {
			return e.Has(c.Filter) && c.Unasked(fleet.InShadow) == ""
		})
	})
}

// spare has the services behind real listeners asked as often as they are to be. before is how many
// of a shadow's checks go through the real listeners as they are.
func spare(plan *xds.ProbePlan, ask Ask, probes fleet.Probes, before int) {
	among := max(ask.Among, 1)
	switch ask.Through {
	case xds.ThroughShadow:
		plan.Beside = probes.Every(among, before)
	case xds.ThroughLive:
		plan.Interval = probes.Every(among, len(plan.Probes))
		plan.Later = max(plan.Interval, slowDown*probes.OrDefault().Interval)
	case xds.ThroughWatch:
		plan.Interval = max(watchInterval, probes.Every(among, len(plan.Probes)))
	case xds.ThroughNothing:
	}
}

// schedule is a plan that has no probes yet: how often each is asked, and when the proxies
// report, of which so many are connected.
func schedule(ask Ask, connected int) *xds.ProbePlan {
	plan := &xds.ProbePlan{
		ID: xds.PlanID{Of: ask.Of, Through: ask.Through, Again: ask.Again}, Timeout: probeTimeout,
		Report: max(reportInterval, time.Duration(connected)*time.Second/reportsASecond),
	}
	switch ask.Through {
	case xds.ThroughShadow:
		plan.Interval = shadowInterval
	case xds.ThroughWatch:
		plan.Report = max(plan.Report, watchReport)
	case xds.ThroughLive, xds.ThroughNothing:
	}
	return plan
}

// probes are the checks of a revision through its real listeners, or its shadow listeners.
func (d *Delivery) probes(in place, of *snapshot.Snapshot, shadow bool) []xds.Probe {
	var out []xds.Probe
	for _, e := range of.Entries() {
		if e.Shadow != shadow || e.Why != "" {
			continue
		}
		address, err := in.address(e)
		if err != nil {
			d.log.Error("a proxy can't be asked the checks", "node", in.node.GetId(), "listener", e.Listener, "error", err)
			continue
		}
		for i, check := range of.Meta.Checks {
			if e.Has(check.Filter) && check.Unasked(placeOf(e)) == "" {
				p := probe(check, e, address, len(out))
				p.Key, p.Way, p.Own = of.CheckKey(i), e.Way(), e.Own(i).Status
				p.InSlot = in.slots(e)
				out = append(out, p)
			}
		}
	}
	return out
}

// beforehand are the checks of a candidate through the real listeners that the proxy has, while
// it proves it in its shadow: what fails before the flip is no evidence after it. They have
// the names that they will have then.
func beforehand(in place, of, live *snapshot.Snapshot) []xds.Probe {
	if live == nil || live.Closes {
		return nil
	}
	var out []xds.Probe
	i := 0
	for _, e := range of.Entries() {
		if e.Shadow || e.Why != "" {
			continue
		}
		now := slices.IndexFunc(live.Entries(), func(has snapshot.Entry) bool {
			return has.Listener == e.Listener && has.Chain == e.Chain && !has.Shadow && has.Why == ""
		})
		for at, check := range of.Meta.Checks {
			if !e.Has(check.Filter) || check.Unasked(fleet.InLive) != "" {
				continue
			}
			if i++; now < 0 {
				continue
			}
			if address, err := in.address(live.Entries()[now]); err == nil {
				p := probe(check, e, address, i-1)
				p.Own = e.Own(at).Status
				p.Before, p.HTTP2, p.Socket = true, live.Entries()[now].HTTP2, live.Entries()[now].Socket
				out = append(out, p)
			}
		}
	}
	return out
}

func placeOf(e snapshot.Entry) fleet.Place {
	if e.Shadow {
		return fleet.InShadow
	}
	return fleet.InLive
}

// probe asks one check through one listener.
func probe(check snapshot.Check, e snapshot.Entry, address *corev3.Address, i int) xds.Probe {
	p := xds.Probe{
		Name: fmt.Sprintf("%s #%d (line %d: %s %s expects %s) by %s", check.Filter, i+1, check.Line, check.Method,
			filepath.Clean(check.Path), check.StatusText(), e.Way()),
		Address: address, Check: check.Check, HTTP2: e.HTTP2, Socket: e.Socket, Ready: check.Ready,
		Seen: e.Shadow && len(check.Expect.Upstream.Headers) > 0,
	}
	if patience := check.Patience(); patience != probeTimeout {
		p.Timeout = patience
	}
	if check.Name != "" && len(check.Values(fleet.CheckHeader)) == 0 {
		p.Extra = append(p.Extra, fleet.Header{Name: fleet.CheckHeader, Value: check.Name})
	}
	if e.Shadow && check.Upstream != http.StatusOK {
		p.Extra = append(p.Extra, fleet.Header{Name: snapshot.UpstreamHeader, Value: strconv.Itoa(check.Upstream)})
	}
	return p
}
