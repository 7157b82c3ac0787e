package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// scopeYAML is a fleet with a listener whose routes are by scopes, of which one answers a text; no
// port for a fleet without either.
func (w *world) scopeYAML(port, text string) []byte {
	if port == "" {
		return w.fleetYAML(fleetOptions{Checks: checks, Rollout: straight})
	}
	return w.fleetYAML(fleetOptions{Checks: checks, Rollout: straight, Extra: rig.Listener("scoped-"+port, "127.0.0.1:"+port, `
                scoped_routes:
                  name: scopes
                  scope_key_builder: {fragments: [{header_value_extractor: {name: x-scope, element_separator: ",", index: 0}}]}
                  rds_config_source: {ads: {}, resource_api_version: V3}
                  scoped_rds: {scoped_rds_config_source: {ads: {}, resource_api_version: V3}}`, "") + "\n  clusters:" + cluster("echo", w.echo.Address) + fmt.Sprintf(`
  scoped_routes:
    - {name: a, route_configuration_name: to-%[1]s, key: {fragments: [{string_key: a}]}}
  routes:
    - {name: to-%[1]s, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: %[1]s}}}]}]}`, text)})
}

// hammer asks a port for its scope as often as it can until it is stopped, and counts what is
// answered.
func hammer(t *testing.T, port string) (stop func() map[string]int) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	counts, ends := map[string]int{}, make(chan struct{})
	ask := func() {
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+"/", nil)
		if err != nil {
			return
		}
		req.Header.Set("X-Scope", "a")
		if a, err := rig.Do(forgetful(), req); err == nil {
			mu.Lock()
			counts[fmt.Sprint(a.Status, " ", a.Body)]++
			mu.Unlock()
		}
	}
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-ends:
					return
				default:
					ask()
				}
			}
		})
	}
	return func() map[string]int { close(ends); all.Wait(); return counts }
}

// A listener with scopes that comes while one of two revisions ago drains answers by its own scopes
// from the first request on.
func TestScopesOfTwoRevisionsAgo(t *testing.T) {
	inTurn(t, func(t *testing.T, w *world) {
		w.begins(w.scopeYAML("", ""), gate(t, 1))
		w.startProxy("edge-0")
		n := 1
		serves := func(text []byte) {
			t.Helper()
			save(t, w.fleet, text)
			n++
			w.fleetIs(fmt.Sprintf("revision %d is served", n), func(f api.Fleet) bool { return f.Serving.Number == n })
		}
		if before(t, 38) {
			t.Skip(noLateScopes)
		}
		for i := range 5 {
			serves(w.scopeYAML(port(t), fmt.Sprint("old-", i)))
			serves(w.scopeYAML("", ""))
			at := port(t)
			stop := hammer(t, at)
			serves(w.scopeYAML(at, fmt.Sprint("new-", i)))
			counts := stop()
			if t.Logf("answered: %v", counts); len(counts) != 1 || counts[fmt.Sprint("200 new-", i)] == 0 {
				t.Errorf("it answers not only by its own scopes: %v", counts)
			}
		}
	})
}
