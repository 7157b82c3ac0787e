package bootstrap

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Whatever the options are, there is an error or a bootstrap: YAML, in which the node's id, its
// cluster and its labels are just what was given, and nothing else has come in.
func FuzzWrite(f *testing.F) {
	f.Add("edge-0", "edge", "canary", "yes", "127.0.0.1:17000", "127.0.0.1:9901", "/certs", "xds.example", false)
	f.Add("a\"\n  b: c", "{{.O}}", "a: b", "\x00", "xds:1", "[::1]:1", "", "", true)
	f.Add("\u2028#", "' x", "", "\U0001f600", "a b:1", "h:2", "a\nb", "*.x", false)
	f.Fuzz(func(t *testing.T, id, cluster, key, value, server, admin, tls, name string, sotw bool) {
		var plain bytes.Buffer
		o := Options{NodeID: id, Cluster: cluster, Labels: map[string]string{key: value}, Server: server, Admin: admin, TLS: tls, TLSServerName: name, SotW: sotw, Command: "xds bootstrap"}
		if err := Write(&plain, o); err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without words")
			}
			return
		}
		var got struct {
			Node struct {
				ID       string
				Cluster  string
				Metadata struct{ Labels map[string]string }
			}
			Admin map[string]any
			Rest  map[string]any `yaml:",inline"`
		}
		if err := yaml.Unmarshal(plain.Bytes(), &got); err != nil {
			t.Fatalf("it is no YAML: %v\n%s", err, plain.String())
		}
		if got.Node.ID != id || got.Node.Cluster != cluster || got.Node.Metadata.Labels[key] != value || len(got.Node.Metadata.Labels) != 1 {
			t.Errorf("id %q, cluster %q, label %q: %q became %+v", id, cluster, key, value, got.Node)
		}
		for name := range got.Rest {
			if !slices.Contains([]string{"dynamic_resources", "hds_config", "stats_flush_interval", "stats_sinks", "static_resources"}, name) {
				t.Errorf("%s has come in", name)
			}
		}
	})
}
