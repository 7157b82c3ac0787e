package e2e

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// occupy takes an address, as another process would: no socket of an Envoy can be
// beside it.
func occupy(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// inTrouble waits until the status shows a proxy's own trouble.
func (p *proxy) inTrouble(words string) {
	p.w.t.Helper()
	p.is(p.Node+" is in trouble", func(s api.Proxy) bool { return s.State == api.ProxyTrouble && strings.Contains(s.Trouble, words) })
}

// noneRejected checks that no revision was blamed.
func (w *world) noneRejected() {
	w.t.Helper()
	for _, e := range w.history() {
		if e.Kind == api.EventRejected {
			w.t.Errorf("revision %d was rejected: %s", e.Revision.Number, e.Reason)
		}
	}
}

// A port that another process has, for a while, is that proxy's trouble and no fault of
// the first revision's: by time alone, by the next revision, and by a restart of the
// proxy it has its listener as soon as the port is free.
func TestBusyPort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		then func(w *world, p *proxy, busy net.Listener)
	}{
		{"by time", func(_ *world, _ *proxy, busy net.Listener) { busy.Close() }},
		{"by the next revision", func(w *world, _ *proxy, busy net.Listener) {
			busy.Close()
			save(w.t, w.module, gate(w.t, 2))
		}},
		{"by a restart of the proxy", func(_ *world, p *proxy, busy net.Listener) {
			p.Stop()
			busy.Close()
			p.start()
		}},
		{"by a restart of the server", func(w *world, _ *proxy, busy net.Listener) {
			w.endServer(syscall.SIGKILL)
			busy.Close()
			w.startServer()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			variants(t, func(t *testing.T, sotw bool) {
				w := started(t, gate(t, 1), func(w *world) { w.Variant = sotw })
				address := freeAddress(t)
				busy := occupy(t, address)
				p := w.startProxy("edge-0", func(o *bootstrap.Options) { o.Listen["ingress"] = address })
				p.address = address
				p.inTrouble("Address already in use")
				c.then(w, p, busy)
				w.servingRevision(1)
				p.guards()
				w.noneRejected()
			})
		})
	}
}

// One of three proxies has its port taken when it is started again: the fleet goes on to
// the next revision without it, and it gets that as soon as it can listen.
func TestRolloutGoesOnWithoutAProxyInTrouble(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 3, func(_ *world, o *fleetOptions) {
		o.Rollout = `{stages: [{name: canary, proxies: 1, bake: 500ms}, {name: all, percent: 100, bake: 500ms}]}`
	})
	p := proxies[0]
	p.Stop()
	busy := occupy(t, p.address)
	p.start()
	p.inTrouble("Address already in use")
	save(t, w.module, gate(t, 2))
	for _, other := range proxies[1:] {
		other.runs("x-build", build(2))
	}
	w.fleetIs("it is served", func(f api.Fleet) bool { return f.Serving.Number == 2 })
	p.inTrouble("Address already in use")
	busy.Close()
	p.runs("x-build", build(2))
	w.servingRevision(3)
	w.noneRejected()
}

// A listener is moved to a port that two of the three proxies can't have: too many for it
// to be the trouble of one. It is rejected, the old listeners answer throughout, and it is
// tried again by itself until the ports are free.
func TestRejectedForTroubleIsTriedAgain(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 3, func(_ *world, o *fleetOptions) {
		o.Rollout = `{stages: [{name: all, percent: 100}]}`
	})
	stop := users(proxies)
	// The second listener is at an address that proxies of one host can't share.
	second := freeAddress(t)
	o := fleetOptions{Rollout: `{stages: [{name: all, percent: 100}]}`, Checks: checks}
	plain := rig.Listener("second", second, `
                route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}`, "")
	text := strings.Replace(string(w.fleetYAML(o)), "  listeners:\n", "  listeners:"+plain+"\n", 1)
	busy := occupy(t, second)
	save(t, w.fleet, []byte(text))
	r := w.rejection(0)
	if !r.Surroundings || !strings.Contains(r.Reason, "limits.troubled lets a stage go without 1 proxy") || !strings.Contains(r.Reason, "Address already in use") {
		t.Errorf("rejected for %+v", r)
	}
	busy.Close()
	w.fleetIs("it is served in the end", func(f api.Fleet) bool { return f.Serving.Number >= 2 })
	if wrong := stop(); len(wrong) > 0 {
		t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
	}
}
