package snapshot

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

// Each type that refuses is left out of the shadow, and the paper says what it answers.
func TestRefusalsAreDocumented(t *testing.T) {
	text := golden.Read(t, "../../docs/fleet-file.md")
	for _, kind := range slices.Sorted(maps.Keys(Refusals)) {
		if LeftOut[kind] == "" && kind != "jwt_authn" { // with keys from a service
			t.Errorf("%q stays in the shadow", kind)
		}
		if row := fmt.Sprintf("| `%s` | %s |", kind, Refusals[kind]); !strings.Contains(text, row) {
			t.Errorf("docs/fleet-file.md does not have %q", row)
		}
	}
	if row := fmt.Sprintf("| what `leave_out` names else | %s |", otherwise); !strings.Contains(text, row) {
		t.Errorf("docs/fleet-file.md does not have %q", row)
	}
}

const (
	refusingFleet = `fleet: edge
match: {cluster: edge}
MORE
filters:
  - name: gate
    module: {file: gate.wasm}
    SHADOW
    checks: [{request: {}, expect: {status: 200}}, {request: {headers: {a: b}}, expect: {status: 403}}]
resources:
  listeners:
    - name: in
      address: {socket_address: {address: 127.0.0.1, port_value: 10000}}
      filter_chains:
        - filters: [{name: hcm, typed_config: {` + extension + `filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: a,
            route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: a}}]}]},
            http_filters: [FIRST, {name: gate, config_discovery: {config_source: {ads: {}}, type_urls: [` + wasmType + `]}}, LAST, {name: router, typed_config: {` + extension + `filters.http.router.v3.Router}}]}}]
  clusters:
    - {name: a, type: STATIC, connect_timeout: 1s}
`
	oauth  = `{name: login, typed_config: {` + extension + `filters.http.oauth2.v3.OAuth2}}`
	authz  = `{name: authz, typed_config: {` + extension + `filters.http.ext_authz.v3.ExtAuthz, STATUS, http_service: {server_uri: {uri: a, cluster: a, timeout: 1s}}}}`
	cors   = `{name: cors, typed_config: {` + extension + `filters.http.cors.v3.Cors}}`
	lua    = `{name: script, typed_config: {` + extension + `filters.http.lua.v3.Lua, default_source_code: {inline_string: ""}}}`
	limits = `{name: limit, typed_config: {` + extension + `filters.http.bandwidth_limit.v3.BandwidthLimit, stat_prefix: a}}`
)

func refusing(t *testing.T, first, last, more string, words ...string) *Snapshot {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	text := strings.NewReplacer(append(words, "FIRST", first, "LAST", last, "MORE", more)...).Replace(refusingFleet)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return build(t, file, nil)
}

// What is left out of the shadow answers a check as its type does, where it comes to be asked.
func TestRefusedBy(t *testing.T) {
	plain := strings.Replace(authz, "STATUS, ", "", 1)
	teapot := strings.Replace(authz, "STATUS", "status_on_error: {code: PayloadTooLarge}", 1)
	for _, c := range []struct {
		name        string
		first, last string
		more        string
		check       int
		status      int
		who         string // a part of it, "" for nobody
	}{
		{"before the filter", plain, cors, "", 0, 403, `"authz" (ext_authz), which no shadow listener has: it asks another service`},
		{"a redirect", plain, cors, "", 0, 307, "authz"},
		{"a status of its own", teapot, cors, "", 0, 413, "authz"},
		{"another", plain, cors, "", 0, 413, ""},
		{"a service that is not there", plain, cors, "", 0, 503, ""},
		{"behind it", cors, oauth, "", 0, 302, "login"},
		{"a check that the filter answers, before it", oauth, cors, "", 1, 401, "login"},
		{"behind it, which is not met", cors, oauth, "", 1, 401, ""},
		{"one of two", oauth, plain, "", 0, 302, `"login" (oauth2), which no shadow listener has: it asks another service; or HTTP filter "authz"`},
		{"what stays in the shadow", lua, cors, "", 0, 403, ""},
		{"what the file leaves out", lua, cors, "shadow: {leave_out: [script]}", 0, 403, `"script" (lua)`},
		{"what the file keeps", plain, cors, "shadow: {keep: [authz]}", 0, 403, ""},
		{"what delays only", limits, cors, "", 0, 403, ""},
	} {
		s := refusing(t, c.first, c.last, c.more, "SHADOW", "")
		who, isNew := s.RefusedBy("in", s.CheckKey(c.check), c.status, nil)
		if (who != "") != (c.who != "") || !strings.Contains(who, c.who) || isNew != (who != "") {
			t.Errorf("%s: %q, new: %v", c.name, who, isNew)
		}
	}
	if bare := refusing(t, plain, cors, "", "SHADOW", "shadow: false"); len(bare.Entries()) > 0 {
		if who, _ := bare.RefusedBy("in", bare.CheckKey(0), 403, nil); who != "" {
			t.Errorf("without a shadow: %q", who)
		}
	}
}

// A filter beside is new where it was not there, or was another.
func TestRefusedByNew(t *testing.T) {
	plain := strings.Replace(authz, "STATUS, ", "", 1)
	now := refusing(t, plain, cors, "", "SHADOW", "")
	for name, c := range map[string]struct {
		before *Snapshot
		isNew  bool
	}{
		"nothing":           {nil, true},
		"none":              {refusing(t, cors, lua, "", "SHADOW", ""), true},
		"it":                {refusing(t, plain, lua, "", "SHADOW", ""), false},
		"it, at its place":  {refusing(t, cors, plain, "", "SHADOW", ""), false},
		"it, with settings": {refusing(t, strings.Replace(authz, "STATUS", "failure_mode_allow: true", 1), cors, "", "SHADOW", ""), true},
	} {
		if who, isNew := now.RefusedBy("in", now.CheckKey(0), 403, c.before); who == "" || isNew != c.isNew {
			t.Errorf("%s before: %q, new: %v", name, who, isNew)
		}
	}
}
