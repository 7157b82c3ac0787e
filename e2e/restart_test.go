package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/bootstrap"
)

// The server is killed and comes back: the proxies go on all the while, and are
// sent nothing of what they have.
func TestServerKilled(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		w.begins(w.fleetYAML(fleetOptions{}), gate(t, 1))
		proxies := w.proxies(2)
		id := w.servingRevision(2)
		l := w.startLoad(proxies, 2, "x-build")
		before := []int{proxies[0].updates(), proxies[1].updates()}
		w.endServer(syscall.SIGKILL)
		for _, p := range proxies {
			p.guards()
		}
		w.startServer()
		for i, p := range proxies {
			p.serves(id)
			mustEqual(t, p.Node+": updates since the restart", p.updates()-before[i], 0)
		}
		save(t, w.module, gate(t, 2))
		for _, p := range proxies {
			p.runs("x-build", build(2))
		}
		l.end()
	})
}

// A change made while the server was down is pushed when it is back.
func TestChangedWhileDown(t *testing.T) {
	t.Parallel()
	w := started(t, gate(t, 1))
	p := w.proxies(1)[0]
	w.endServer(syscall.SIGTERM)
	save(t, w.module, gate(t, 2))
	w.startServer()
	p.runs("x-build", build(2))
}

// A proxy that is killed and comes back serves what the fleet serves.
func TestProxyKilled(t *testing.T) {
	t.Parallel()
	w := started(t, gate(t, 1))
	proxies := w.proxies(2)
	proxies[0].Kill()
	save(t, w.module, gate(t, 2))
	proxies[1].runs("x-build", build(2))
	proxies[0].start()
	proxies[0].runs("x-build", build(2))
	proxies[0].guards()
}

// A server that is gone without a word, its connections open, is noticed within
// 5 s by the bootstrap's HTTP/2 keepalive, and found again when it is back.
func TestBlackHoledServer(t *testing.T) {
	w := started(t, gate(t, 1))
	p := w.proxies(1)[0]
	id := w.servingRevision(1)
	w.server.Signal(syscall.SIGSTOP)
	begin := time.Now()
	w.eventually("the proxy notices", func() error {
		// Not whether it is connected: the kernel takes its next connection at once.
		if p.stat("^cluster.waxwing.http2.keepalive_timeout$") == 0 {
			return fmt.Errorf("it thinks itself connected")
		}
		return nil
	})
	took := time.Since(begin)
	w.server.Signal(syscall.SIGCONT)
	t.Logf("noticed after %.1f s", took.Seconds())
	if took > 5*time.Second {
		t.Errorf("noticed after %v", took)
	}
	p.guards()
	p.serves(id)
	save(t, w.module, gate(t, 2))
	p.runs("x-build", build(2))
}

// Two fleets on one server: each proxy gets its own, chosen by cluster or label,
// and a change of one leaves the other alone.
func TestTwoFleets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.dir + "/fleets"
	mkdir(t, dir)
	other := w.dir + "/other.wasm"
	write(t, w.module, gate(t, 1))
	write(t, other, gate(t, 101))
	write(t, dir+"/edge.yaml", w.fleetYAML(fleetOptions{}))
	write(t, dir+"/inner.yaml", w.fleetYAML(fleetOptions{Name: "inner", Match: "{labels: {tier: inner}, cluster: edge}", Module: other}))
	w.startServer()
	edge := w.startProxy("edge-0")
	inner := w.startProxy("inner-0", func(o *bootstrap.Options) { o.Labels = map[string]string{"tier": "inner"} })
	stranger := w.startProxy("stranger", func(o *bootstrap.Options) { o.Cluster = "elsewhere" })
	edge.runs("x-build", build(1))
	inner.runs("x-build", build(101))
	stranger.is("the stranger is connected", func(s api.Proxy) bool { return s.Fleet == "" })
	if a, err := stranger.ask("token", "32323"); err == nil {
		t.Errorf("a proxy of no fleet answers: %+v", a)
	}

	before := edge.updates()
	save(t, other, gate(t, 102))
	inner.runs("x-build", build(102))
	edge.runs("x-build", build(1))
	mustEqual(t, "updates of the other fleet's proxy", edge.updates()-before, 0)

	// A broken file holds up its own fleet only.
	write(t, dir+"/inner.yaml", []byte("fleet: inner\nnonsense: 1\n"))
	w.problem("unknown field \"nonsense\"")
	save(t, w.module, gate(t, 2))
	edge.runs("x-build", build(2))
	inner.runs("x-build", build(102))
}
