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
                tls_certificates: [{certificate_chain: {filename: chain.pem}, private_key: {filename: key.pem}, password: {inline_string: very secret PREFIX}}]
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
	// Without the indentation.
	var lines []string
	for line := range strings.SplitSeq(all.String(), "\n") {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"changed Listener ingress\n", `- "stat_prefix": "one"`, `+ "stat_prefix": "two"`,
		"changed TypedExtensionConfig auth\n", `header\":\"other`, `"inline_string": "sha256:`, "changed Secret key@generic_secret\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the difference lacks %q:\n%s", want, text)
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
