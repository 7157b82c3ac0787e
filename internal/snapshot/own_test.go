package snapshot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A listener whose router and whose RBAC filter answer some requests themselves.
const (
	ownChain = `filters: [{name: hcm, typed_config: {` + extension + `filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: a,
      route_config: {virtual_hosts: [{name: all, domains: ["*"], HOST, routes: [{match: {path: /gone}, direct_response: {status: 410}}, {match: {prefix: /}, route: {cluster: a}, ROUTE}]}]},
      http_filters: [{name: rule, typed_config: {` + extension + `filters.http.rbac.v3.RBAC, rules: RULES}},
        {name: gate, config_discovery: {config_source: {ads: {}}, type_urls: [x]}}, {name: router, typed_config: {` + extension + `filters.http.router.v3.Router}}]}}]`
	encrypted = "filter_chain_match: {transport_protocol: tls}, " + tlsContext + "common_tls_context: {}}}, "
	anyone    = "{any: true}"
)

func rbacRules(action, permission, principal string) string {
	return "{action: " + action + ", policies: {a: {permissions: [" + permission + "], principals: [" + principal + "]}}}"
}

// What an RBAC filter and the router answer themselves to checks that want the service's answer.
func TestOwnAnswers(t *testing.T) {
	allow := rbacRules("ALLOW", anyone, anyone)
	admin := rbacRules("DENY", "{url_path: {path: {prefix: /admin}}}", anyone)
	for _, c := range []struct{ name, rules, host, route, want string }{
		{"the router", allow, "", "", "/gone=410"},
		{"a path that is denied", admin, "", "", "/gone=410 /admin/a=403"},
		{"a path that is denied, and a route says otherwise", admin, "", "typed_per_filter_config: {rule: {" + extension + "filters.http.rbac.v3.RBACPerRoute}}", "/gone=410"},
		{"a header that is wanted", rbacRules("ALLOW", anyone, "{header: {name: role, string_match: {exact: admin}}}"), "", "", "/gone=410 /open=403"},
		{"a header that a filter may set", rbacRules("ALLOW", anyone, "{header: {name: x-user, present_match: true}}"), "", "", "/gone=410"},
		{"what is not known", rbacRules("DENY", anyone, "{metadata: {filter: a, path: [{key: a}], value: {present_match: true}}}"), "", "", "/gone=410"},
		{"TLS is wanted", allow, "require_tls: ALL", "", "/=301 /gone=301 /admin/a=301 /open=301"},
	} {
		chain := strings.NewReplacer(", HOST", comma(c.host), ", ROUTE", comma(c.route), "RULES", c.rules).Replace(ownChain)
		if got := ownText(t, chain); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		// Of chains that serve the same the one is asked through which more is shown.
		for _, both := range [][]string{{encrypted + chain, chain}, {chain, encrypted + chain}} {
			if got := ownText(t, both...); strings.Contains(got, "301") {
				t.Errorf("%s, by TLS, too: %s", c.name, got)
			}
		}
	}
}

func comma(text string) string {
	if text == "" {
		return ""
	}
	return ", " + text
}

// ownText is what a listener of chains answers itself.
func ownText(t *testing.T, chains ...string) string {
	t.Helper()
	s := gated(t)
	for _, path := range []string{"/", "/gone", "/admin/a", "/open"} {
		check := fleet.DefaultCheck(200)
		if check.Path = path; path == "/open" {
			check.Headers = []fleet.Header{{Name: "role", Value: "user"}}
		}
		s.Meta.Checks = append(s.Meta.Checks, Check{Filter: "gate", Check: check})
	}
	denied := fleet.DefaultCheck(403) // by the filter, which comes before the router
	denied.Path = "/gone"
	s.Meta.Checks = append(s.Meta.Checks, Check{Filter: "gate", Check: denied})
	entries := s.ways(listenerOf(t, inspect+"filter_chains: [{"+strings.Join(chains, "}, {")+"}]"))
	if len(entries) != 1 || entries[0].Why != "" {
		t.Fatalf("it is asked by %+v", entries)
	}
	var out []string
	for i, c := range s.Meta.Checks {
		if own := entries[0].Own(i); own.Status != 0 {
			out = append(out, fmt.Sprintf("%s=%d", c.Path, own.Status))
		}
	}
	return strings.Join(out, " ")
}
