package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// prompt are two stages that wait little.
const prompt = `{stages: [{name: canary, proxies: 1, bake: 500ms}, {name: all, percent: 100, bake: 500ms}], prove: 300ms}`

// happenings opens the server's feed. What is returned waits for an event of a
// kind, and of a stage if one is named.
func (w *world) happenings() (await func(kind api.EventKind, stage string)) {
	w.t.Helper()
	events, err := w.server.API.Events(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(events.Close)
	return func(kind api.EventKind, stage string) {
		w.t.Helper()
		defer time.AfterFunc(patience, events.Close).Stop()
		for {
			e, err := events.Next()
			if err != nil {
				w.t.Fatalf("waiting for %q of stage %q: %v", kind, stage, err)
			}
			if e.Kind == kind && (stage == "" || e.Stage == stage) {
				return
			}
		}
	}
}

// loaded is what a proxy has loaded: VMs created, and filters taken by its real listener.
type loaded struct{ vms, filters int }

func (p *proxy) loaded() loaded {
	p.w.t.Helper()
	return loaded{p.stat("^wasm.envoy.wasm.runtime.v8.created$"), p.stat("http_filter.gate.config_reload$")}
}

// Of a module that it runs on two workers an Envoy makes a VM for each of them, one
// for its main thread, one to copy, and one that tries the configuration and goes.
const (
	vmsOfOne  = 2 + 2
	madeOfOne = vmsOfOne + 1
)

// The server is killed at each moment of a rollout. It goes on where it was: no
// stage begins anew, no proxy is made to load anything twice, no user notices.
func TestServerKilledInRollout(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 5, func(_ *world, o *fleetOptions) { o.Rollout = prompt })
	w.servingRevision(len(proxies))
	users := newCrowd(proxies)
	for i, moment := range []struct {
		kind  api.EventKind
		stage string
	}{
		{api.EventStarted, ""},
		{api.EventWarmed, ""}, // it is proving it
		{api.EventFlipped, "canary"},
		{api.EventBaking, "canary"},
		{api.EventStageStarted, "all"},
		{api.EventFlipped, "all"},
	} {
		t.Run(strings.TrimSpace(string(moment.kind)+" "+moment.stage), func(t *testing.T) {
			before := map[string]loaded{}
			for _, p := range proxies {
				before[p.Node] = p.loaded()
			}
			await := w.happenings()
			save(t, w.module, gate(t, 2+i))
			await(moment.kind, moment.stage)
			w.candidateStored()
			w.endServer(syscall.SIGKILL)
			killed := time.Now()
			w.startServer()
			for _, p := range proxies {
				p.runs("x-build", build(2+i))
			}
			id := w.servingRevision(len(proxies))
			t.Logf("serving %.1f s after the kill", time.Since(killed).Seconds())
			for _, p := range proxies {
				now := p.loaded()
				mustEqual(t, "VMs that "+p.Node+" created", now.vms-before[p.Node].vms, madeOfOne)
				mustEqual(t, "filters that the listener of "+p.Node+" took", now.filters-before[p.Node].filters, 1)
			}
			w.wentThrough(t, id)
		})
	}
	users.end(t, "")
}
