package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A configuration is a bootstrap's static_resources, tried on Envoy, and as a fleet file.
type configuration struct {
	name, text string
}

// envoyTakes has Envoy validate configurations, and returns why it refuses which.
func envoyTakes(t *testing.T, all []configuration) map[string]string {
	t.Helper()
	var lock sync.Mutex
	refused, slots := map[string]string{}, make(chan struct{}, runtime.NumCPU())
	var group sync.WaitGroup
	for _, c := range all {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			out, err := exec.Command(envoyPath, "--mode", "validate", "--log-level", "error", "--use-dynamic-base-id",
				"--config-yaml", c.text).CombinedOutput()
			if err != nil {
				lock.Lock()
				refused[c.name] = string(bytes.TrimSpace(out))
				lock.Unlock()
			}
		})
	}
	group.Wait()
	return refused
}

var errorAt = regexp.MustCompile(`(?m)^(?:xds: )?\S*?(\w+)\.yaml(?::(\d+))?: (.*)$`)

// problem is what `xds check` says of a line of a fleet file.
type problem struct {
	line, msg string
}

// checkTakes has `xds check` read the same as fleet files, and returns what it says of each.
func checkTakes(t *testing.T, all []configuration) map[string][]problem {
	t.Helper()
	dir := t.TempDir()
	for _, c := range all {
		text := strings.Replace(c.text, "static_resources:", "resources:", 1) + "\nfleet: " + c.name + "\n"
		text = strings.NewReplacer("\nnode:", "\n!ignore node:", "\nbootstrap_extensions:", "\n!ignore extensions:").Replace(text)
		save(t, filepath.Join(dir, c.name+".yaml"), []byte(text))
	}
	out, err := exec.Command(xdsPath, "check", "--config", os.DevNull, dir).CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte(".yaml")) {
		t.Fatalf("xds check: %v\n%s", err, out)
	}
	said := map[string][]problem{}
	for _, m := range errorAt.FindAllStringSubmatch(string(out), -1) {
		said[m[1]] = append(said[m[1]], problem{m[2], m[3]})
	}
	return said
}

// agree reports each configuration that one of the two takes and the other does not.
func agree(t *testing.T, all []configuration) {
	t.Helper()
	refused, said := envoyTakes(t, all), checkTakes(t, all)
	for _, c := range all {
		theirs, ours := refused[c.name], said[c.name]
		if theirs != "" && len(ours) == 0 {
			t.Errorf("xds check takes what Envoy refuses:\n%s\nEnvoy: %.600s", c.text, theirs)
		}
		if theirs == "" && len(ours) > 0 {
			t.Errorf("Envoy takes what xds check refuses:\n%s\nxds check: %v", c.text, ours)
		}
	}
	t.Logf("%d configurations, %d of them refused by both", len(all), len(refused))
}

// loaderBase has a place for one line in each of its messages.
const loaderBase = `static_resources:
  clusters:
  - name: a
    CLUSTER
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    LISTENER
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          stat_prefix: x
          HCM
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - name: x
              domains: "*"
              HOST
`

var places = regexp.MustCompile(`(?m)^ *(CLUSTER|LISTENER|HCM|HOST)\n`)

// inPlace puts a line where it belongs.
func inPlace(place, line string) string {
	return places.ReplaceAllString(strings.Replace(loaderBase, place, line, 1), "")
}

// What the value of a field of each kind may look like, and a few that it may not.
var loaderFields = []struct {
	kind, place, line string
	values            []string
}{
	{"string", "CLUSTER", "alt_stat_name: V", []string{`yes`, `yEs`, `on`, `~`, `""`, `5`, `"5"`, `5.5`, `08`, `010`, `3000000000`, `[a]`, `!!str 5`}},
	{"bool", "CLUSTER", "respect_dns_ttl: V", []string{`yes`, `Off`, `yEs`, `"yes"`, `"on"`, `"True"`, `y`, `N`, `null`, `1`, `"1"`, `tr`, `[yes]`}},
	{"enum", "CLUSTER", "dns_lookup_family: V", []string{`v4_only`, `Auto`, `V4-ONLY`, `1`, `"1"`, `" 1"`, `99`, `1.0`, `null`, `""`, `[AUTO]`}},
	{"port", "LISTENER", "additional_addresses: [{address: {socket_address: {address: 127.0.0.1, port_value: V}}}]",
		[]string{`"5"`, `" 5"`, `+5`, `5.5`, `0x10`, `010`, `0o10`, `08`, `5_0`, `0b1`, `-1`, `yes`, `3000000000`, `30000000000000000000`, `http`}},
	{"wrapped", "CLUSTER", "per_connection_buffer_limit_bytes: V", []string{`5`, `"5"`, `{value: 5}`, `{}`, `null`, `[5]`, `3000000000`, `5.5`}},
	{"wrappedbool", "CLUSTER", "outlier_detection: {always_eject_one_host: V}", []string{`on`, `"y"`, `{value: "no"}`, `1`}},
	{"double", "HCM", "tracing: {client_sampling: {value: V}}", []string{`5`, `5.5`, `"5.5"`, `" 5"`, `1e1`, `0x10`, `"NaN"`, `.5`, `abc`, `yes`}},
	{"bytes", "CLUSTER", "health_checks: [{timeout: 1s, interval: 1s, healthy_threshold: 1, unhealthy_threshold: 1, tcp_health_check: {receive: [{binary: V}]}}]",
		[]string{`YWJj`, `YWJ`, `"YW-_"`, `YWJjZ`, `"YQ=="`, `"a b"`, `5`}},
	{"duration", "CLUSTER", "cleanup_interval: V", []string{`0.25s`, `"1s"`, `010s`, `1`, `100ms`, `1m`, `.5s`, `1.s`, `+1s`, `{seconds: 1}`, `[1s]`, `null`}},
	{"message", "CLUSTER", "upstream_connection_options: V", []string{`{}`, `null`, `""`, `[]`, `[{}]`, `{tcpKeepalive: {}}`, `{TcpKeepalive: {}}`}},
	{"messages", "LISTENER", "socket_options: V", []string{`[]`, `{level: 1, name: 2, int_value: 3}`, `[{level: 1, name: 2, int_value: 3}]`, `[null]`, `[[]]`, `a`, `null`}},
	{"numbers", "HOST", "retry_policy: {retriable_status_codes: V}", []string{`5`, `"5"`, `[5, "6"]`, `[null]`, `[[5]]`, `{}`, `null`}},
	{"map", "HOST", "metadata: {filter_metadata: V}", []string{`{}`, `{a: {}}`, `{a: null}`, `{a: b}`, `[a]`, `{5: {}, yes: {}}`}},
	{"texts", "HOST", `typed_per_filter_config: {envoy.filters.http.ext_authz: {"@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute, check_settings: {context_extensions: V}}}`,
		[]string{`{a: b}`, `{a: 5}`, `{a: "5"}`, `{a: 5.5}`, `{a: null}`, `{a: yes}`, `{no: a}`}},
	{"struct", "CLUSTER", "metadata: {filter_metadata: {a: V}}", []string{`{a: [5.5, yes, null, {b: 1}]}`, `[]`, `a`, `null`}},
	{"any", "CLUSTER", "metadata: {typed_filter_metadata: {a: V}}", []string{`{}`, `null`, `{a: b}`, `a`,
		`{"@type": type.googleapis.com/google.protobuf.Duration, value: 1s}`, `{value: 1s, "@type": type.googleapis.com/google.protobuf.Duration}`,
		`{"@type": type.googleapis.com/google.protobuf.Duration, seconds: 1}`, `{"@type": google.protobuf.Duration, value: 1s}`,
		`{"@type": other.example/google.protobuf.Duration, value: 1s}`, `{"@type": type.googleapis.com/google.protobuf.Struct, value: {a: b}}`,
		`{"@type": type.googleapis.com/google.protobuf.Empty}`, `{"@type": type.googleapis.com/google.protobuf.Empty, value: {}}`,
		`{"@type": type.googleapis.com/google.protobuf.UInt32Value, value: "5"}`, `{"@type": type.googleapis.com/google.protobuf.UInt32Value}`,
		`{"@type": type.googleapis.com/xds.data.orca.v3.OrcaLoadReport, cpu_utilization: 1}`, `{"@type": type.googleapis.com/google.rpc.BadRequest}`,
		`{"@type": type.googleapis.com/google.api.HttpBody}`, `{"@type": type.googleapis.com/envoy.api.v2.Cluster}`,
		`{"@type": type.googleapis.com/envoy.config.filter.http.router.v2.Router}`, `{"@type": type.googleapis.com/envoy.extensions.nope.v3.Nope}`}},
	{"oneof", "HCM", "V", []string{`rds: null`, `rds: {config_source: {ads: {}}, route_config_name: a}`, `scheme_header_transformation: {scheme_to_overwrite: http}`}},
	{"ignored", "CLUSTER", "V", []string{`!ignore anything: &b {c: 5}`, `anything: 5`, `altStatName: a`}},
}

// What Envoy's loader reads as a field's value `xds check` reads, and nothing else. (But a key that is given twice,
// of which Envoy takes the last, is refused: which one is meant?)
func TestLoaderReadsWhatEnvoysDoes(t *testing.T) {
	var all []configuration
	for _, field := range loaderFields {
		for i, value := range field.values {
			all = append(all, configuration{
				name: fmt.Sprintf("%s_%d", field.kind, i),
				text: inPlace(field.place, strings.Replace(field.line, "V", value, 1)),
			})
		}
	}
	agree(t, all)
}
