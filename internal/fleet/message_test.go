package fleet

import (
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"go.yaml.in/yaml/v3"
)

// What is read is what Envoy 1.40.0 shows in its config_dump of the same YAML.
func TestValuesAreWhatEnvoyReads(t *testing.T) {
	for text, want := range map[string]string{
		"name: a\ntype: strict_dns\nlb_policy: Round_robin":                 `name: "a" type: STRICT_DNS`,
		"connectTimeout: 0.25s\ncleanup_interval: 010s":                     `connect_timeout: {nanos: 250000000} cleanup_interval: {seconds: 10}`,
		"respect_dns_ttl: on\ndns_lookup_family: \"1\"":                     `respect_dns_ttl: true dns_lookup_family: V4_ONLY`,
		"use_tcp_for_dns_lookups: \"y\"\nname: ~":                           `use_tcp_for_dns_lookups: true`,
		"per_connection_buffer_limit_bytes: 010":                            `per_connection_buffer_limit_bytes: {value: 8}`,
		"per_connection_buffer_limit_bytes: {value: 3000000000}":            `per_connection_buffer_limit_bytes: {value: 3000000000}`,
		"per_connection_buffer_limit_bytes: \"0x10\"":                       `per_connection_buffer_limit_bytes: {value: 16}`,
		"per_connection_buffer_limit_bytes: 1e3":                            `per_connection_buffer_limit_bytes: {value: 1000}`,
		"outlier_detection: {always_eject_one_host: {value: \"no\"}}":       `outlier_detection: {always_eject_one_host: {}}`,
		"health_checks: {timeout: 1s, unhealthy_threshold: 3.0}":            `health_checks: {timeout: {seconds: 1} unhealthy_threshold: {value: 3}}`,
		"lb_subset_config: {subset_selectors: [[{keys: a}], {keys: [b]}]}":  `lb_subset_config: {subset_selectors: {keys: "a"} subset_selectors: {keys: "b"}}`,
		"dns_resolvers: [null]":                                             `dns_resolvers: {}`,
		"!ignore anything: {x: 1}\nname: a":                                 `name: "a"`,
		"name: &n 'yes'\nalt_stat_name: *n":                                 `name: "yes" alt_stat_name: "yes"`,
		"<<: {name: merged, type: EDS}\nname: own":                          `name: "own" type: EDS`,
		"metadata: {filter_metadata: {m: {a: 1.5, b: 0x10, c: Off, d: ~}}}": `metadata: {filter_metadata: {key: "m" value: {fields: {key: "a" value: {string_value: "1.5"}} fields: {key: "b" value: {number_value: 16}} fields: {key: "c" value: {bool_value: false}} fields: {key: "d" value: {null_value: NULL_VALUE}}}}}`,
		"metadata: {filter_metadata: {m: {a: 3000000000, b: yEs, 1: [y]}}}": `metadata: {filter_metadata: {key: "m" value: {fields: {key: "a" value: {string_value: "3000000000"}} fields: {key: "b" value: {string_value: "yEs"}} fields: {key: "1" value: {list_value: {values: {bool_value: true}}}}}}}`,
	} {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		p := &parser{}
		p.merger.done, p.reader.values = map[*yaml.Node]bool{}, maxValues
		got, wanted := &clusterv3.Cluster{}, &clusterv3.Cluster{}
		if err := prototext.Unmarshal([]byte(want), wanted); err != nil {
			t.Fatal(err)
		}
		if ok := p.message(n.Content[0], got); !ok || !proto.Equal(got, wanted) {
			t.Errorf("%s\nis read as %v (%v), want %v", text, got, p.list, wanted)
		}
	}
}
