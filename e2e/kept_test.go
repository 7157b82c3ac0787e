package e2e

import (
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// startsAnew ends a proxy's Envoy, and starts another with nothing.
func (p *proxy) startsAnew() {
	p.w.t.Helper()
	p.Stop()
	p.start()
}

// A proxy that no fleet's match claims any more is given what it ran when it is started anew, though
// its fleet serves another revision since, and after the server was killed; and its row says so.
func TestKeptProxyIsStartedAnew(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		proxies := w.edges()
		l := w.startLoad(proxies[:1], 2, "")
		kept := func() {
			t.Helper()
			proxies[1].is("edge-1 is kept", func(s api.Proxy) bool {
				return s.State == api.ProxyKept && s.Served.Number == 1 && strings.Contains(s.Kept, "no fleet's match claims it: it keeps revision 1")
			})
			proxies[1].runs("x-build", build(1))
		}
		file := func(match string) []byte {
			return w.fleetYAML(fleetOptions{Rollout: prompt, Checks: checks, Match: match, Module: w.moduleFile("second", gate(t, 2))})
		}
		save(t, w.file("edge"), file("{cluster: edge, id: edge-0}"))
		proxies[0].runs("x-build", build(2))
		kept()
		proxies[1].startsAnew()
		kept()
		w.endServer(syscall.SIGKILL)
		proxies[1].startsAnew()
		w.startServer()
		kept()

		save(t, w.file("edge"), file("{cluster: edge}"))
		proxies[1].isOfWith("edge", 2)
		l.unharmed(t)
	})
}

// The proxies of a fleet that a person has retired keep what they run, also one that is started
// anew and after the server was killed, until another content of its file is served.
func TestProxiesOfARetiredFleet(t *testing.T) {
	t.Parallel()
	w, proxies := fleetsWorld(t)
	l := w.startLoad(proxies[:1], 2, "")
	if out, err := exec.Command(xdsPath, "fleet", "retire", "edge", "--admin", w.admin).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.notice("edge", "its proxies keep what they run until another fleet's match claims them")
	proxies[1].startsAnew()
	proxies[1].isOfWith("edge", 1)
	save(t, w.module, gate(t, 2))
	w.eventually("it is said that this takes nothing up", func() error {
		if !strings.Contains(w.log(), "what was saved is not served: save another content there") {
			return errors.New("it is not")
		}
		return nil
	})
	w.endServer(syscall.SIGKILL)
	proxies[1].startsAnew()
	w.startServer()
	proxies[1].isOfWith("edge", 1)
	save(t, w.file("edge"), w.fleetYAML(fleetOptions{Rollout: straight, Checks: checks}))
	w.told("edge", api.EventTakenUp, "it is retired no more")
	for _, p := range proxies {
		p.isOfWith("edge", 2)
	}
	l.unharmed(t)
}
