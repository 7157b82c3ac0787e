package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// A filter that the routes switch off on a path is asked there as it is served: its checks of
// that path hold in the sandbox, in the shadow and in the real listener, with the routes in
// the listener and in a resource of their own. A rate limit beside it does not make it fail.
func TestShadowHasTheRoutes(t *testing.T) {
	t.Parallel()
	const (
		checks = `[{request: {path: /health}, expect: {status: 200}}, {request: {headers: {token: "432323"}}, expect: {status: 403}}]`
		table  = `virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {path: /health}, route: {cluster: echo}, typed_per_filter_config: ` +
			`{gate: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}}, {match: {prefix: /}, route: {cluster: echo}}]}]`
		limit = `http_filters:
                  - name: limit
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
                      stat_prefix: limit
                      token_bucket: {max_tokens: 5, tokens_per_fill: 5, fill_interval: 1s}
                      filter_enabled: {default_value: {numerator: 100, denominator: HUNDRED}}
                      filter_enforced: {default_value: {numerator: 100, denominator: HUNDRED}}`
	)
	for name, tail := range map[string]string{
		"inline": "\n                route_config: {" + table + "}",
		"rds":    "\n                rds: {route_config_name: table, config_source: {ads: {}}}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			text := strings.Replace(string(w.fleetYAML(fleetOptions{Checks: checks, Tail: tail, Rollout: "{stages: [{name: all, percent: 100, bake: 2s}]}"})), "http_filters:", limit, 1)
			if name == "rds" {
				text = strings.Replace(text, "\nresources:\n", "\nresources:\n  routes: [{name: table, "+table+"}]\n", 1)
			}
			write(t, w.fleet, []byte(text))
			write(t, w.module, gate(t, 1))
			w.startServer()
			p := w.startProxy("edge-0")
			w.servingRevision(1)
			save(t, w.module, gate(t, 2))
			p.serves(w.revisionAfter(2))
			for _, e := range w.history() {
				if e.Kind == api.EventRejected {
					t.Errorf("rejected: %+v", e)
				}
			}
			w.eventually("/health is answered", func() error {
				a, err := p.askWith(http.DefaultClient, "/health")
				if err == nil && a.Status != http.StatusOK { // the limit is the probes' too
					err = fmt.Errorf("%+v", a)
				}
				return err
			})
		})
	}
}
