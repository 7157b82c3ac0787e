package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// ownRoutes answer in each of the ways in which a configuration answers itself.
const ownRoutes = `
                route_config:
                  virtual_hosts:
                    - {name: web, domains: [web.example], routes: [{match: {path: /gone}, direct_response: {status: 410}}, {match: {prefix: /moved}, redirect: {path_redirect: /, response_code: SEE_OTHER}}, {match: {safe_regex: {regex: "/(a|b)+"}, headers: [{name: ":method", string_match: {exact: GET}}]}, direct_response: {status: 204}}, {match: {prefix: /, headers: [{name: token, string_match: {prefix: "3"}}]}, route: {cluster: echo}}]}
                    - {name: safe, domains: ["*.safe.example"], require_tls: ALL, routes: [{match: {prefix: /}, route: {cluster: echo}}]}
                    - {name: prefix, domains: ["old.*"], routes: [{match: {path_separated_prefix: /api}, redirect: {host_redirect: new}}]}`

// ownChecks want of the service what that configuration answers, but for the first two and the last.
const ownChecks = `[
      {request: {host: web.example, headers: {token: "32323"}}, expect: {status: 200}},
      {request: {host: nowhere, headers: {token: "432323"}}, expect: {status: 403}},
      {request: {headers: {token: "32323"}}, expect: {status: 200, body: {contains: Welcome}}, upstream: {body: Welcome}},
      {request: {host: web.example, path: /gone, headers: {token: "32323"}}, expect: {status: 200}},
      {request: {host: web.example, path: /moved/a, headers: {token: "32323"}}, expect: {status: 200}},
      {request: {host: a.safe.example, headers: {token: "32323"}}, expect: {status: 200}},
      {request: {host: old.example, headers: {token: "32323"}}, expect: {status: 200}},
      {request: {host: web.example, path: /admin/a, headers: {token: "32323"}}, expect: {status: 200}},
      {request: {host: web.example, path: /ab, headers: {token: "32323"}}, expect: {status: 2xx}}]`

// adminRule is an RBAC filter that lets nobody ask below /admin.
const adminRule = `
                  - name: rule
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC, rules: {action: DENY, policies: {admin: {permissions: [{url_path: {path: {prefix: /admin}}}], principals: [{any: true}]}}}}`

func (w *world) ownYAML(o fleetOptions) []byte {
	o.Checks, o.Tail, o.Rollout = ownChecks, ownRoutes, "{prove: 300ms, stages: [{name: all, percent: 100, bake: 500ms}]}"
	return []byte(strings.Replace(string(w.fleetYAML(o)), "http_filters:", "http_filters:"+adminRule, 1))
}

// Where the configuration of a listener answers a check itself, that is said, a first revision and
// a later one are served, and a filter that lets nobody, or everybody, pass is found all the same.
func TestChecksThatTheConfigurationAnswers(t *testing.T) {
	t.Parallel()
	for _, noShadow := range []bool{false, true} {
		t.Run(fmt.Sprint("shadow ", !noShadow), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.NoPreflight = true
			w.begins(w.ownYAML(fleetOptions{NoShadow: noShadow}), gate(t, 1))
			p := w.startProxy("edge-0")
			for n := 1; n <= 2; n++ {
				save(t, w.module, gate(t, n))
				w.fleetIs(fmt.Sprintf("revision %d is served, or rejected", n), func(f api.Fleet) bool { return f.Serving.Number == n || len(f.Rejected) > 0 })
				w.noneRejected()
			}
			f, err := w.onlyFleet()
			for _, want := range []string{
				"gate#3: its answer (200) is not shown by listener ingress, which answers 404", "gate#4: its answer (200) is not shown by listener ingress, which answers 410",
				"gate#5: its answer (200) is not shown by listener ingress, which answers 303", "gate#6: its answer (200) is not shown by listener ingress, which answers 301",
				"gate#7: its answer (200) is not shown by listener ingress, which answers 404", "gate#8: its answer (200) is not shown by listener ingress, which answers 403",
			} {
				if err != nil || !strings.Contains(strings.Join(f.Unproven, "\n"), want) {
					t.Errorf("of what is not proven is said %q, %v; want %q", f.Unproven, err, want)
				}
			}
			if text := strings.Join(f.Unproven, "\n"); strings.Count(text, "is not shown by") != 6 {
				t.Errorf("of what is not proven is said %s", text)
			}
			w.routerAnswers(p)
			for i, name := range []string{"allows all", "forbids all"} {
				save(t, w.module, faultNamed(name).module(t))
				if r := w.rejection(i); !strings.Contains(r.Reason, "a check fails in its") {
					t.Errorf("rejected: %s", r.Reason)
				}
			}
		})
	}
}

// routerAnswers holds what is said of the listener's routes against what the proxy answers.
func (w *world) routerAnswers(p *proxy) {
	w.t.Helper()
	text, err := os.ReadFile(w.fleet)
	must(w.t, err)
	f, err := fleet.Parse(w.fleet, text)
	must(w.t, err)
	hcm, ok := fleet.Content(f.Listeners[0].GetFilterChains()[0].GetFilters()[0].GetTypedConfig()).(*hcmv3.HttpConnectionManager)
	if !ok {
		w.t.Fatal("the listener has no HTTP connection manager")
	}
	router, sure := fleet.Lookup(f.Of).Router(hcm), 0
	client := staying()
	for _, host := range []string{"web.example", "WEB.example", "x.web.example", "a.safe.example", "safe.example", ".safe.example", "old.example", "old.", "waxwing.check"} {
		for _, path := range []string{"/", "/gone", "/gone?a=b", "/gone/", "/Gone", "/moved", "/movedaway", "/ab", "/abc", "/api", "/api/", "/apis", "/a//gone"} {
			for _, token := range []string{"32323", "31313"} {
				own := router.Answer(fleet.Check{Method: http.MethodGet, Host: host, Path: path, Headers: []fleet.Header{{Name: "token", Value: token}}}, false)
				req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+p.address+path, nil)
				must(w.t, err)
				req.Host, req.Header = host, http.Header{"Token": {token}}
				resp, err := client.Do(req)
				must(w.t, err)
				resp.Body.Close()
				plain := strings.Trim(host, ".") == host && !strings.Contains(path, "//") // of the others nothing need be said
				if own.Status != 0 && resp.StatusCode != own.Status || own.Status == 0 && plain && resp.StatusCode != http.StatusOK {
					w.t.Errorf("%s%s with token %s is answered %d; said is %+v", host, path, token, resp.StatusCode, own)
				}
				if own.Status != 0 {
					sure++
				}
			}
		}
	}
	w.t.Logf("%d answers of the router's are known", sure)
}
