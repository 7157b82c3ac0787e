package snapshot

import (
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

const diffYAML = `fleet: edge
filters:
  - {name: auth, module: {file: a.wasm}, config: {header: HEADER}, listeners: [ingress]}
resources:
  listeners:
    - name: ingress
      address: {socket_address: {address: 127.0.0.1, port_value: 1}}
      filter_chains:
        - transport_socket:
            name: tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                tls_certificates: [{certificate_chain: {inline_string: CHAIN}, private_key: {inline_string: very secret PREFIX}}]
          filters:
            - name: hcm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: PREFIX
                route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}
                http_filters:
                  - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  secrets:
    - {name: key, generic_secret: {secret: {inline_string: very secret PREFIX}}}
`

func diffSnapshot(t *testing.T, header, prefix, wasm string) *Snapshot {
	t.Helper()
	f, err := fleet.Parse("fleet.yaml", []byte(strings.NewReplacer("HEADER", header, "PREFIX", prefix).Replace(diffYAML)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Build(f, map[string]*module.Module{"a.wasm": module.New([]byte(wasm))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDiff(t *testing.T) {
	one, two := diffSnapshot(t, "token", "one", "module one"), diffSnapshot(t, "other", "two", "module two")
	changes, err := Diff(one, two)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, c := range changes {
		all.WriteString(c.Kind + " " + c.Type + " " + c.Name + "\n" + c.Diff)
	}
	for _, want := range []string{
		"changed Listener ingress\n", `-                "stat_prefix": "one"`, `+                "stat_prefix": "two"`,
		"changed TypedExtensionConfig auth\n", `header\":\"other`, `"inline_string": "sha256:`, "changed Secret key\n",
	} {
		if !strings.Contains(strings.ReplaceAll(all.String(), "  ", "  "), strings.TrimLeft(want, " ")) && !containsTrimmed(all.String(), want) {
			t.Errorf("the difference lacks %q:\n%s", want, all.String())
		}
	}
	if strings.Contains(all.String(), "very secret") {
		t.Errorf("a secret is shown:\n%s", all.String())
	}
	if same, err := Diff(one, one); err != nil || len(same) > 0 {
		t.Errorf("a revision differs from itself: %+v, %v", same, err)
	}
	if first, err := Diff(nil, one); err != nil || len(first) != 3 || first[0].Kind != "added" {
		t.Errorf("against nothing: %+v, %v", first, err)
	}
}

// containsTrimmed compares lines without their indentation, but with their sign.
func containsTrimmed(text, want string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && want[:1] == line[:1] && strings.TrimSpace(line[1:]) == strings.TrimSuffix(strings.TrimSpace(want[1:]), ",") ||
			line != "" && want[:1] == line[:1] && strings.TrimSuffix(strings.TrimSpace(line[1:]), ",") == strings.TrimSpace(want[1:]) {
			return true
		}
	}
	return false
}
