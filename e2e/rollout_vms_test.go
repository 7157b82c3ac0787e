package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

const approved = `{stages: [{name: canary, proxies: 1, approve: manual}, {name: all, percent: 100}], prove: 300ms}`

// approvedWorld is a fleet of proxies that serve a good revision, of which a person ends
// the first stage.
func approvedWorld(t *testing.T, n int) (w *world, proxies []*proxy, good string) {
	t.Helper()
	w, proxies = stagedWorld(t, n, func(_ *world, o *fleetOptions) { o.Rollout = approved })
	return w, proxies, w.servingRevision(n)
}

// awaiting waits until the canary has baked, and returns it.
func (w *world) awaiting(proxies []*proxy) (canary *proxy, rest []*proxy) {
	w.t.Helper()
	w.fleetIs("the canary waits for approval", func(f api.Fleet) bool { return f.Rollout != nil && f.Rollout.Awaiting })
	for _, p := range proxies {
		s, err := p.statusOf()
		switch {
		case err == nil && s.Phase != "":
			canary = p
		default:
			rest = append(rest, p)
		}
	}
	if canary == nil {
		w.t.Fatal("there is no canary")
	}
	return canary, rest
}

// canaryOf saves a build and waits until the canary has baked it.
func (w *world) canaryOf(build int, proxies []*proxy) (canary *proxy, rest []*proxy) {
	w.t.Helper()
	save(w.t, w.module, gate(w.t, build))
	return w.awaiting(proxies)
}

func (p *proxy) vmsBecome(want int) {
	p.w.t.Helper()
	p.w.eventually(fmt.Sprintf("%s has %d VMs", p.Node, want), func() error {
		if got := p.stat("^wasm.envoy.wasm.runtime.v8.active$"); got != want {
			return fmt.Errorf("it has %d", got)
		}
		return nil
	})
}

// A proxy holds the VMs of one module, of two while it is rolled out to it, and
// makes those of each module once.
func TestVMsOfARollout(t *testing.T) {
	t.Parallel()
	w, proxies, _ := approvedWorld(t, 2)
	created := map[*proxy]int{}
	for _, p := range proxies {
		p.vmsBecome(vmsOfOne)
		created[p] = p.loaded().vms
	}
	canary, rest := w.canaryOf(2, proxies)
	canary.vmsBecome(2 * vmsOfOne)
	for _, p := range rest {
		p.vmsBecome(vmsOfOne)
	}
	if err := w.command(api.VerbPromote); err != nil {
		t.Fatal(err)
	}
	w.servingRevision(len(proxies))
	for _, p := range proxies {
		p.vmsBecome(vmsOfOne)
		mustEqual(t, "VMs that "+p.Node+" created", p.loaded().vms-created[p], madeOfOne)
	}
}

// configured is the small filter, and traps on requests if its configuration has
// six characters. All configurations of one VM share its memory: each context
// finds there, by its number, how long its own is.
func configured(t *testing.T) []byte {
	const at = `(i32.add (i32.const 8192) (i32.mul (i32.const 4) (i32.and (local.get %d) (i32.const 4095))))`
	first, second := fmt.Sprintf(at, 0), fmt.Sprintf(at, 1)
	return fault{
		start:   "(i32.store " + first + " (local.get 1))",
		context: "(if (local.get 1) (then (i32.store " + first + " (i32.load " + second + "))))",
		request: "(if (i32.eq (i32.load " + first + ") (i32.const 6)) (then unreachable))",
	}.module(t)
}

// A configuration that traps does so in the shadow, in VMs of its own: those of
// the real listener, which run the same module, go on.
func TestConfigurationThatTraps(t *testing.T) {
	t.Parallel()
	var options fleetOptions
	w := newWorld(t)
	w.NoPreflight = true
	options = fleetOptions{Rollout: approved, Checks: checks, Policy: "FAIL_CLOSED", Config: "fine"}
	w.begins(w.fleetYAML(options), configured(t))
	proxies := w.proxies(2)
	good := w.servingRevision(len(proxies))
	users := newCrowd(proxies)
	options.Config = "traps!"
	save(t, w.fleet, w.fleetYAML(options))
	r := w.rejection(0)
	if !strings.Contains(r.Reason, "in its shadow listener") {
		t.Errorf("it was rejected because %s", r.Reason)
	}
	for _, p := range proxies {
		p.serves(good)
		p.vmsBecome(vmsOfOne)
	}
	// Another one is served; the real listener makes no VMs for it.
	options.Config = "other"
	save(t, w.fleet, w.fleetYAML(options))
	canary, rest := w.awaiting(proxies)
	canary.vmsBecome(2 * vmsOfOne)
	rest[0].vmsBecome(vmsOfOne)
	if err := w.command(api.VerbPromote); err != nil {
		t.Fatal(err)
	}
	w.servingRevision(len(proxies))
	for _, p := range proxies {
		p.vmsBecome(vmsOfOne)
	}
	users.end(t, "")
}
