package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// olderEnvoy knows no HTTP filter "transform", which the newer one has.
const (
	olderEnvoy = "1.36.4"
	newFilter  = `
                  - name: envoy.filters.http.transform
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.transform.v3.TransformConfig}`
)

func installed(t *testing.T, version string) string {
	t.Helper()
	path, err := envoy.Install(context.Background(), "../.tools", version, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A fleet of two versions of Envoy: a revision that the older one refuses stops at
// the first proxy that is of it, in whichever stage that is, and all go back.
func TestMixedEnvoys(t *testing.T) {
	t.Parallel()
	older, newer := installed(t, olderEnvoy), installed(t, envoy.Version)
	for stage, canary := range map[string]string{"canary": "edge-old", "all": "edge-0"} {
		t.Run("in "+stage, func(t *testing.T) {
			t.Parallel()
			stopsAtTheOlder(t, older, newer, stage, canary)
		})
	}
}

func stopsAtTheOlder(t *testing.T, older, newer, stage, canary string) {
	w := newWorld(t)
	options := fleetOptions{Checks: checks, Rollout: `{stages: [{name: canary, proxies: 1, bake: 1s, match: {labels: {track: canary}}}, {name: all, percent: 100}]}`}
	w.begins(w.fleetYAML(options), gate(t, 1))
	var proxies []*proxy
	for id, binary := range map[string]string{"edge-0": newer, "edge-1": newer, "edge-2": newer, "edge-3": newer, "edge-old": older} {
		w.envoy = binary
		proxies = append(proxies, w.startProxy(id, func(o *bootstrap.Options) {
			if id == canary {
				o.Labels = map[string]string{"track": "canary"}
			}
		}))
	}
	good := w.servingRevision(len(proxies))
	users := newCrowd(proxies)

	const router = "\n                  - name: envoy.filters.http.router"
	text := string(w.fleetYAML(options))
	if strings.Count(text, router) != 1 {
		t.Fatal("the fleet file has no place for another filter")
	}
	save(t, w.fleet, []byte(strings.Replace(text, router, newFilter+router, 1)))
	r := w.rejection(0)
	if r.Node != "edge-old" || !strings.Contains(r.Reason, "envoy.filters.http.transform") {
		t.Errorf("%s was the reason: %s", r.Node, r.Reason)
	}
	if last := w.lastStage(r.ID); last != stage {
		t.Errorf("it came to stage %q, want %q", last, stage)
	}
	for _, p := range proxies {
		p.serves(good)
	}
	// What both know goes on.
	save(t, w.fleet, w.fleetYAML(options))
	save(t, w.module, gate(t, 2))
	for _, p := range proxies {
		p.runs("x-build", build(2))
	}
	users.end(t, "")
}
