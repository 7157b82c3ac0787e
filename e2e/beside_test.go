package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// authorized is a fleet whose listener asks a service who may pass, before the filter or after it.
func (w *world) authorized(service string, first bool, o fleetOptions) []byte {
	o.Extra = "\n  clusters:" + cluster("echo", w.echo.Address) + cluster("authz", service)
	o.Checks = checks
	asks := fmt.Sprintf(`
                  - name: authz
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz, http_service: {server_uri: {uri: "http://%s", cluster: authz, timeout: 1s}}}`, service)
	if !first {
		asks = `
                  - name: gate
                    config_discovery: {config_source: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]}` + asks
	}
	text := strings.Replace(string(w.fleetYAML(o)), "http_filters:", "http_filters:"+asks, 1)
	if !first {
		text = strings.Replace(text, "\n    listeners: [ingress]", "", 1)
	}
	return []byte(text)
}

func cluster(name, address string) string {
	host, port, _ := strings.Cut(address, ":")
	return fmt.Sprintf(`
    - {name: %[1]s, type: STATIC, connect_timeout: 1s, load_assignment: {cluster_name: %[1]s, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}}`, name, host, port)
}

// doorkeeper is a service that answers who may pass, and counts who asks.
func doorkeeper(t *testing.T, status int) (service *rig.Service, answers *atomic.Int32, asked *atomic.Int32) {
	t.Helper()
	answers, asked = &atomic.Int32{}, &atomic.Int32{}
	answers.Store(int32(status))
	service, err := rig.StartService(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if answers.Load() == http.StatusFound {
			rw.Header().Set("Location", "/login")
		}
		rw.WriteHeader(int(answers.Load()))
	}))
	must(t, err)
	t.Cleanup(service.Stop)
	return service, answers, asked
}

// A filter beside, which asks another service and denies, has no good filter rejected: neither in a
// first revision nor in a later one, nor while that is watched. That it is not shown is said. A
// first filter that denies is rejected all the same, and so is a later one that lets all pass.
func TestChecksThatAFilterBesideRefuses(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusUnauthorized, http.StatusFound} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprint(status, " first ", first), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.NoPreflight = true
				service, _, asked := doorkeeper(t, status)
				w.begins(w.authorized(service.Address, first, fleetOptions{Rollout: "{prove: 300ms, stages: [{name: all, percent: 100, bake: 1s}]}"}), faultNamed("forbids all").module(t))
				p := w.startProxy("edge-0")
				if r := w.rejection(0); !strings.Contains(r.Reason, "a check fails in its shadow listener") {
					t.Errorf("rejected: %s", r.Reason)
				}
				for n := 2; n <= 3; n++ {
					save(t, w.module, gate(t, n))
					w.fleetIs(fmt.Sprintf("revision %d is served, or rejected", n), func(f api.Fleet) bool { return f.Serving.Number == n || len(f.Rejected) > 1 })
				}
				before := asked.Load()
				w.eventually("it is watched for a while", func() error {
					if asked.Load() < before+5 {
						return fmt.Errorf("asked %d times", asked.Load()-before)
					}
					return nil
				})
				w.saysNotShown(status)
				if a, err := p.askWith(staying(), "/", "token", "32323"); err != nil || a.Status != status {
					t.Errorf("it answers %d, %v; want %d", a.Status, err, status)
				}
				save(t, w.module, faultNamed("allows all").module(t))
				if r := w.rejection(1); !strings.Contains(r.Reason, "a check fails in its shadow listener") {
					t.Errorf("rejected: %s", r.Reason)
				}
			})
		}
	}
}

// saysNotShown holds what is said of a revision whose check another filter refuses.
func (w *world) saysNotShown(status int) {
	w.t.Helper()
	f, err := w.onlyFleet()
	want := fmt.Sprintf(`it is answered %d, which may be by the HTTP filter "authz" (ext_authz)`, status)
	if err != nil || f.Degraded != nil || len(f.Rejected) != 1 || !strings.Contains(strings.Join(f.Unproven, "\n"), want) {
		w.t.Errorf("degraded: %+v, rejected: %+v, not proven: %q, %v", f.Degraded, f.Rejected, f.Unproven, err)
	}
	if out, code := w.xds("status"); code != 0 || !strings.Contains(out, want) {
		w.t.Errorf("xds rollout status does not say so: %d %s", code, out)
	}
	if !slices.ContainsFunc(w.history(), func(e api.Entry) bool { return e.Kind == api.EventUnproven && strings.Contains(e.Reason, want) }) {
		w.t.Errorf("the history does not say so: %+v", w.history())
	}
}

// A filter beside that is new in a revision, and refuses, is no evidence against it; nor is it in
// the next one, by the answers before. Once it lets the checks pass, a refusal is evidence.
func TestFilterBesideIsNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service, answers, asked := doorkeeper(t, http.StatusForbidden)
	stages := "{prove: 300ms, stages: [{name: all, percent: 100, bake: 1s}]}"
	w.begins(w.fleetYAML(fleetOptions{Rollout: stages, Checks: checks}), gate(t, 1))
	p := w.startProxy("edge-0")
	serves := func(n int) {
		t.Helper()
		w.fleetIs(fmt.Sprintf("revision %d is served, or one rejected", n), func(f api.Fleet) bool { return f.Serving.Number == n || len(f.Rejected) > 0 })
		w.noneRejected()
	}
	serves(1)
	save(t, w.fleet, w.authorized(service.Address, true, fleetOptions{Rollout: stages}))
	serves(2)
	answers.Store(http.StatusOK)
	save(t, w.module, gate(t, 3))
	serves(3)
	p.guards()
	before, at := asked.Load(), time.Now()
	answers.Store(http.StatusForbidden)
	e := w.happened(api.EventTakenBack, 3)
	t.Logf("taken back %s after the filter beside denies what it let pass (asked %d times): %s", time.Since(at), asked.Load()-before, e.Reason)
}
