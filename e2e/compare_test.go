package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// moody is a service that fails for all, or for what one revision sends.
type moody struct {
	all atomic.Bool
	one atomic.Value // the x-revision that it fails for
}

func (m *moody) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if m.all.Load() || r.Header.Get("X-Revision") == m.one.Load() {
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
}

// sending is a fleet file whose requests to the service say a revision; more is of its
// connection manager.
func (w *world) sending(revision, onEvidence, more string) []byte {
	return w.fleetYAML(fleetOptions{
		Rollout: "{stages: [{name: canary, proxies: 1, bake: 8s}, {name: all, percent: 100, bake: 0s}]" + onEvidence + "}",
		Tail: more + `
                route_config:
                  request_headers_to_add: [{header: {key: x-revision, value: "` + revision + `"}}]
                  virtual_hosts:
                    - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: echo}}]}`,
	})
}

// asking has users ask each proxy for what its filters let pass, whatever comes of it.
func asking(proxies []*proxy) (stop func()) {
	var wg sync.WaitGroup
	done := make(chan struct{})
	for _, p := range proxies {
		wg.Go(func() {
			client := &http.Client{Timeout: 5 * time.Second}
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
					_, _ = p.askWith(client, "/", "token", "32323")
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}

// flushes waits until each proxy has sent its counters so many times more.
func (w *world) flushes(times int) {
	w.t.Helper()
	seen, count := map[string]time.Time{}, map[string]int{}
	w.eventually("the proxies send counters", func() error {
		s, err := w.status()
		if err != nil {
			return err
		}
		enough := 0
		for _, p := range s.Proxies {
			if p.Counted.After(seen[p.Node]) {
				seen[p.Node] = p.Counted
				count[p.Node]++
			}
			if count[p.Node] > times {
				enough++
			}
		}
		if enough == 0 || enough < len(s.Proxies) {
			return fmt.Errorf("%v", count)
		}
		return nil
	})
}

// While a canary bakes the service fails for all: that is no evidence, and the revision is
// served in the end. It fails for what the next revision sends, and for no other: that one is
// rejected. And so it is of a revision that is served and watched, which one proxy does not
// have for trouble of its own.
func TestErrorsAreComparedWithThoseOfTheRevisionBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Answers = true
	service := &moody{}
	service.one.Store("none")
	w.serve(service)
	w.begins(w.sending("1", "", ""), gate(t, 1))
	proxies := w.proxiesInFoldersOfTheirOwn(3)
	stop := asking(proxies)
	defer stop()
	w.flushes(3)

	save(t, w.fleet, w.sending("2", "", ""))
	w.happened(api.EventBaking, 2)
	w.flushes(2)
	service.all.Store(true)
	w.flushes(2)
	service.all.Store(false)
	w.happened(api.EventServing, 2)
	w.noneRejected()

	save(t, w.fleet, w.sending("3", "", ""))
	w.happened(api.EventBaking, 3)
	w.flushes(2)
	began := time.Now()
	service.one.Store("3")
	r := w.rejection(0)
	t.Logf("rejected %s after it began to fail: %s", r.At.Sub(began).Round(time.Millisecond), r.Reason)
	if !strings.Contains(r.Reason, "at the same time") {
		t.Errorf("rejected for %s", r.Reason)
	}

	// A log where only two of the three have a folder for it.
	save(t, w.fleet, w.sending("4", ", watch: 5m, on_evidence: undo", `
                access_log:
                  - name: envoy.access_loggers.file
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /proc/self/cwd/logs/a.log}`))
	w.happened(api.EventServing, 4)
	proxies[2].inTrouble("unable to open file")
	w.flushes(3)
	service.all.Store(true)
	w.flushes(4)
	service.all.Store(false)
	w.flushes(9)
	for _, e := range w.history() {
		if e.Revision.Number == 4 && e.Kind == api.EventDegraded || e.Kind == api.EventTakenBack {
			t.Errorf("a service that fails for all is held against revision %d: %s", e.Revision.Number, e.Reason)
		}
	}
	began = time.Now()
	service.one.Store("4")
	degraded, back := w.happened(api.EventDegraded, 4), w.happened(api.EventTakenBack, 4)
	t.Logf("degraded %s and taken back %s after it began to fail: %s",
		degraded.At.Sub(began).Round(time.Millisecond), back.At.Sub(began).Round(time.Millisecond), back.Reason)
	if !strings.Contains(back.Reason, "at the same time") {
		t.Errorf("taken back for %s", back.Reason)
	}
}

// proxiesInFoldersOfTheirOwn runs several, the last of which has no folder for logs.
func (w *world) proxiesInFoldersOfTheirOwn(n int) []*proxy {
	w.t.Helper()
	var all []*proxy
	for i := range n {
		dir := filepath.Join(w.dir, fmt.Sprintf("proxy-%d", i))
		logs := dir
		if i < n-1 {
			logs = filepath.Join(dir, "logs")
		}
		if err := os.MkdirAll(logs, 0o755); err != nil {
			w.t.Fatal(err)
		}
		p := w.newProxy(fmt.Sprintf("edge-%d", i))
		p.start(func(o *envoy.Options) { o.Dir = dir })
		all = append(all, p)
	}
	for _, p := range all {
		p.serves(w.servingRevision(n))
	}
	return all
}
