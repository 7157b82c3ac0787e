package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// answering is a fleet file in which /gone and /denied are routed so; more is of its rollout.
func (w *world) answering(gone, denied, more string) []byte {
	return w.fleetYAML(fleetOptions{
		Rollout: "{stages: [{name: canary, proxies: 1, bake: 5s}, {name: all, percent: 100, bake: 1s}]" + more + "}",
		Tail: fmt.Sprintf(`
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                        - {match: {prefix: /gone}, %s}
                        - {match: {prefix: /denied}, %s}
                        - {match: {prefix: /}, route: {cluster: echo}}`, gone, denied),
	})
}

// forgetful is a client each of whose requests has a connection of its own: one that is kept
// is answered by the listener that it was opened to.
func forgetful() *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
}

// staying is a client that follows no redirect.
func staying() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// visiting has users ask each proxy for some paths in turn, each time anew.
func visiting(proxies []*proxy, paths ...string) (stop func()) {
	var wg sync.WaitGroup
	done := make(chan struct{})
	for _, p := range proxies {
		wg.Go(func() {
			client := forgetful()
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				case <-tick.C:
					_, _ = p.askWith(client, paths[i%len(paths)], "token", "32323")
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}

// No check asks for the paths whose answers change: users do. A path that is not found any more,
// and one that is open to all, are stopped at the canary; and served where that is meant.
func TestAnswersThatNoCheckAsksFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Answers = true
	const route, notFound, forbidden = "route: {cluster: echo}", "direct_response: {status: 404}", "direct_response: {status: 403}"
	w.begins(w.answering(route, forbidden, ""), gate(t, 1))
	proxies := w.proxies(3)
	stop := visiting(proxies, "/", "/gone", "/denied")
	defer stop()
	w.flushes(5)

	for i, change := range [][]byte{w.answering(notFound, forbidden, ""), w.answering(route, route, "")} {
		saved := time.Now()
		save(t, w.fleet, change)
		r := w.rejection(i)
		t.Logf("rejected %s after the save: %s", r.At.Sub(saved).Round(time.Millisecond), r.Reason)
		if !strings.Contains(r.Reason, "are 4xx") || !strings.Contains(r.Reason, "--answers-meant") {
			t.Errorf("rejected for %s", r.Reason)
		}
		for _, e := range w.history() {
			if e.Revision.Number == r.Number && e.Kind == api.EventFlipped && !strings.HasPrefix(e.Reason, "1 proxy") {
				t.Errorf("not on the canary alone: %s", e.Reason)
			}
		}
		w.happened(api.EventRolledBack, r.Number)
		w.flushes(5)
	}
	w.wants(0, "", "retry", "--answers-meant", "--why", "it is open now", "--wait", "--timeout", "2m")
	proxies[2].wantsAt("/denied", http.StatusOK)

	w.flushes(5)
	save(t, w.fleet, w.answering(notFound, route, ", limits: {answers: off}"))
	w.happened(api.EventServing, 5)
	proxies[2].wantsAt("/gone", http.StatusNotFound)
}

// wantsAt checks the status at a path.
func (p *proxy) wantsAt(path string, status int) {
	p.w.t.Helper()
	if a, err := p.askWith(forgetful(), path, "token", "32323"); err != nil || a.Status != status {
		p.w.t.Errorf("%s answers %d at %s, want %d: %v", p.Node, a.Status, path, status, err)
	}
}
