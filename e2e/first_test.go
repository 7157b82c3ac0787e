package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// allowsAll is a filter that lets everyone in: its check fails on a proxy, where no
// sandbox or shadow listener has found it before.
func allowsAll(t *testing.T) []byte {
	i := slices.IndexFunc(faults, func(f fault) bool { return f.name == "allows all" })
	return faults[i].module(t)
}

// keepAlive asks with the wrong token all the time, on connections that are kept, until
// stop, which returns when it was last let in, and how often.
func (p *proxy) keepAlive() (stop func() (last time.Time, in int)) {
	var last time.Time
	in := 0
	client := &http.Client{Timeout: 5 * time.Second}
	l := p.w.asking(func(int) error {
		if a, err := p.askWith(client, "/", "token", "432323"); err == nil && a.Status == http.StatusOK {
			last = time.Now()
			in++
		}
		return nil
	})
	return func() (time.Time, int) { l.End(); return last, in }
}

// refuses waits until the proxy has no listener.
func (p *proxy) refuses() {
	p.w.t.Helper()
	p.w.eventually(p.Node+" refuses connections", func() error {
		a, err := p.ask("token", "32323")
		if err == nil {
			return fmt.Errorf("it answers %d", a.Status)
		}
		return nil
	})
}

func (p *proxy) isIn(state api.ProxyState) {
	p.w.t.Helper()
	p.is(fmt.Sprintf("%s is %s", p.Node, state), func(s api.Proxy) bool { return s.State == state })
}

// A first revision that fails through the real listener is not left open: the proxy denies
// every request, those on connections that are kept alive too, and has no listener then. So
// it is after a restart of the server, and the next revision opens it when it is good.
func TestRejectedFirstRevisionIsClosed(t *testing.T) {
	inTurn(t, func(t *testing.T, w *world) {
		w.NoPreflight = true
		o := fleetOptions{NoShadow: true, Checks: checks}
		w.begins(w.fleetYAML(o), allowsAll(t))
		p := w.startProxy("edge-0")
		stop := p.keepAlive()
		r := w.rejection(0)
		p.isIn(api.ProxyClosed)
		p.refuses()
		last, in := stop()
		after := last.Sub(r.At)
		t.Logf("let in %d times, the last %d ms after the rejection", in, after.Milliseconds())
		if after > time.Second {
			t.Errorf("a request was let in %s after the rejection", after)
		}
		if w.logged("no request passes") > 0 {
			t.Error("the log says that no request passes")
		}
		w.crashServer()
		p.isIn(api.ProxyClosed)
		p.refuses()
		save(t, w.module, gate(t, 2))
		w.servingRevision(1)
		p.guards()
	})
}

// What denies in the place of a closed filter is assembled from its text.
func TestClosedModuleIsItsText(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "closed.wasm")
	if text, err := exec.Command("wat2wasm", "../internal/snapshot/closed.wat", "-o", out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if !slices.Equal(read(t, out), read(t, "../internal/snapshot/closed.wasm")) {
		t.Error("internal/snapshot/closed.wasm is not its text: assemble it with wat2wasm")
	}
}
