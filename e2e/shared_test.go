package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// process starts another Envoy with the node id of a proxy, at an address of its own or, if
// that is "", at the same.
func (p *proxy) process(address string, change ...func(*envoy.Options)) *proxy {
	p.w.t.Helper()
	other := &proxy{Node: p.Node, w: p.w, envoy: p.envoy, options: p.options, address: p.address}
	if address != "" {
		other.address, other.options.Listen = address, map[string]string{"ingress": address}
	}
	dir := p.w.t.TempDir()
	other.start(append(change, func(o *envoy.Options) { o.Dir = dir })...)
	return other
}

// streams waits until a node id has so many.
func (p *proxy) streams(n int) {
	p.w.t.Helper()
	p.is(fmt.Sprintf("%s has %d streams", p.Node, n), func(s api.Proxy) bool { return s.Streams == n })
}

// Two processes with one node id are both served, each with a shadow listener of its own,
// and rollouts go on: together, after a restart of the server, in whatever order they come
// back, and when the newest of them has left.
func TestTwoProcessesWithOneID(t *testing.T) {
	t.Parallel()
	variants(t, func(t *testing.T, sotw bool) {
		w, proxies := stagedWorld(t, 1, func(w *world, o *fleetOptions) {
			w.Variant, o.Rollout = sotw, `{stages: [{name: all, percent: 100, bake: 500ms}]}`
		})
		older := proxies[0]
		stop := users(proxies)
		newer := older.process(freeAddress(t))
		both := []*proxy{older, newer}
		older.streams(2)
		for n := 2; n <= 3; n++ {
			save(t, w.module, gate(t, n))
			for _, p := range both {
				p.runs("x-build", build(n))
				p.guards()
			}
			w.servingRevision(1)
			if n == 2 {
				w.crashServer()
				older.streams(2)
			}
		}
		newer.Stop()
		older.streams(1)
		w.servingRevision(1)
		save(t, w.module, gate(t, 4))
		older.runs("x-build", build(4))
		w.servingRevision(1)
		if wrong := stop(); len(wrong) > 0 {
			t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
		}
		w.noneRejected()
		for _, p := range both {
			if n := strings.Count(string(read(t, p.LogFile)), "Address already in use"); n > 0 {
				t.Errorf("%d times a socket was in use", n)
			}
		}
	})
}

// An Envoy is restarted with overlap, at the same port: with a base id of its own, and by
// hot restart. The one that stays serves on and takes the next revision.
func TestOverlappingRestart(t *testing.T) {
	t.Parallel()
	for name, hot := range map[string]bool{"own base id": false, "hot restart": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := started(t, gate(t, 1))
			template := w.newProxy("edge-0")
			epoch := func(n int) func(*envoy.Options) {
				return func(o *envoy.Options) {
					if hot {
						o.BaseID, o.Epoch = 4321, n
					}
				}
			}
			first := template.process("", epoch(0))
			w.servingRevision(1)
			stop := users([]*proxy{template})
			second := template.process("", epoch(1))
			template.streams(2)
			w.servingRevision(1)
			save(t, w.module, gate(t, 2)) // while there are both
			w.servingRevision(1)
			if !hot {
				first.Stop()
			}
			template.streams(1) // the parent of a hot restart ends by itself
			save(t, w.module, gate(t, 3))
			second.runs("x-build", build(3))
			w.servingRevision(1)
			wrong := stop()
			t.Logf("%d wrong answers in the overlap", len(wrong))
			w.noneRejected()
			second.guards()
		})
	}
}
