package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// With nothing good to go back to, a refused module lets nothing through: it was
// refused in the shadow, so that the real listener does not exist yet. The next
// one heals it.
func TestRefusedModuleAtFirstStart(t *testing.T) {
	t.Parallel()
	w := started(t, assemble(t, "refuses"), func(w *world) { w.NoPreflight = true })
	p := w.startProxy("edge-0")
	w.fleetIs("it is rejected", func(f api.Fleet) bool { return len(f.Rejected) != 0 })
	if a, err := p.ask("token", "32323"); err == nil {
		t.Errorf("the proxy answers: %+v", a)
	}
	s, err := p.statusOf()
	if err != nil || s.State != api.ProxyWaiting || s.LastNACK == nil {
		t.Errorf("the status shows %+v, %v", s, err)
	}
	save(t, w.module, gate(t, 1))
	p.runs("x-build", build(1))
	p.guards()
}

// An Envoy without a Wasm runtime refuses every filter: that is said, and no request
// passes it unfiltered.
func TestEnvoyWithoutRuntime(t *testing.T) {
	t.Parallel()
	w := started(t, gate(t, 1))
	p := w.startProxy("edge-0")
	w.fleetIs("it is rejected", func(f api.Fleet) bool { return len(f.Rejected) != 0 })
	mustEqual(t, "lines that say so", w.logged(`"msg":"rejected`, "Unable to create Wasm plugin gate", "still_runs"), 1)
	if a, err := p.ask("token", "32323"); err == nil {
		t.Errorf("the proxy answers: %+v", a)
	}
}

// oneRefused checks that a proxy's status, or that of several, shows a refusal, and that none was
// sent the module twice.
func oneRefused(t *testing.T, proxies []*proxy) {
	t.Helper()
	refused := 0
	for _, p := range proxies {
		s, err := p.statusOf()
		if err != nil {
			t.Fatal(err)
		}
		if s.LastNACK != nil {
			refused++
			if !strings.Contains(s.LastNACK.Message, "Unable to create Wasm plugin gate") || s.LastNACK.Resource != "TypedExtensionConfig waxwing.shadow/gate" {
				t.Errorf("the status of %s shows %+v", p.Node, s.LastNACK)
			}
		}
		if n := p.rejections(); n > 1 {
			t.Errorf("%s was sent the refused module %d times", p.Node, n)
		}
	}
	if refused == 0 {
		t.Error("no proxy's status shows a refusal")
	}
}

// A module that the proxies refuse is withdrawn: they are put back on the last
// good one, it is logged once with what still runs, shown in the status, and not
// sent again, whatever reconnects.
func TestRefusedModule(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		w.NoPreflight = true
		w.begins(w.fleetYAML(fleetOptions{}), gate(t, 1))
		proxies := w.proxies(2)
		good := w.servingRevision(2)
		l := w.startLoad(proxies, 2, "x-build")

		save(t, w.module, assemble(t, "refuses"))
		w.fleetIs("it is rejected", func(f api.Fleet) bool { return len(f.Rejected) == 1 && f.Candidate.ID == "" })
		for _, p := range proxies {
			p.serves(good)
			p.runs("x-build", build(1))
			p.guards()
		}
		oneRefused(t, proxies)
		mustEqual(t, "lines that say so", w.logged(`"msg":"rejected`, "Unable to create Wasm plugin gate", "still_runs", "revision 1"), 1)
		l.end()

		// A server that starts again, a proxy that starts again, the same bytes saved
		// again: none makes it be sent again.
		w.crashServer()
		before := proxies[0].rejections()
		for _, p := range proxies {
			p.serves(good)
		}
		save(t, w.module, assemble(t, "refuses"))
		proxies[1].Kill()
		proxies[1].start()
		proxies[1].serves(good)
		w.eventually("the server says that it is on disk still", func() error {
			if w.logged("on disk is a revision that was rejected") == 0 {
				return fmt.Errorf("it does not")
			}
			return nil
		})
		mustEqual(t, "refusals since the restart", proxies[0].rejections()-before+proxies[1].rejections(), 0)

		// An unrelated change of a listener is accepted: the explicit push of the good
		// filter has cleared what Envoy holds against the refused one.
		write(t, w.fleet, []byte(strings.Replace(string(w.fleetYAML(fleetOptions{})), "stat_prefix: ingress", "stat_prefix: changed", 1)))
		save(t, w.module, gate(t, 2))
		for _, p := range proxies {
			p.runs("x-build", build(2))
		}
	})
}
