package snapshot

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"go.yaml.in/yaml/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// guarded is a snapshot with a cluster of HTTP filters by ECDS ("" for no options of HTTP at all), and
// a listener; more is what is said of the cluster besides.
func guarded(t *testing.T, listener, more string, filters ...string) *Snapshot {
	t.Helper()
	s := &Snapshot{ID: "r", types: map[string]*collection{}, shadows: &shadows{}}
	add := func(typeURL, name, text string) {
		m := fleet.KindOf(typeURL).New(name)
		var document any
		err := yaml.Unmarshal([]byte(text), &document)
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		written, err := json.Marshal(document)
		if err == nil {
			err = protojson.Unmarshal(written, m)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		r, err := newResource(typeURL, name, m)
		if err != nil {
			t.Fatal(err)
		}
		s.add(r)
	}
	options := ""
	if len(filters) > 0 {
		options = `, typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions,
    explicit_http_config: {http2_protocol_options: {}}, http_filters: [`
		for _, name := range filters {
			add(resource.ExtensionConfigType, name, "name: "+name)
			options += "{name: " + name + ", config_discovery: {config_source: {ads: {}}, type_urls: [x]}}, "
		}
		options += `{name: codec, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}}]}}`
	}
	add(resource.ClusterType, "echo", "{name: echo, connect_timeout: 1s"+more+options+"}")
	add(resource.ListenerType, "ingress", "{name: ingress, stat_prefix: "+listener+"}")
	if err := s.read(); err != nil {
		t.Fatal(err)
	}
	if err := s.findNeeds(nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// A cluster that loses a filter while what leads to it changes has it for a while yet, with what that
// asks for, and what is new to it.
func TestInterim(t *testing.T) {
	for _, c := range []struct {
		name           string
		before, target *Snapshot
		filters        string // of the cluster in between, "" for no such thing
		http1          bool
	}{
		{name: "moved to a listener", before: guarded(t, "a", "", "gate"), target: guarded(t, "b", ""), filters: "gate codec", http1: true},
		{name: "one of two", before: guarded(t, "a", "", "gate", "log"), target: guarded(t, "b", "", "log"), filters: "gate log codec"},
		{name: "one for another", before: guarded(t, "a", "", "gate"), target: guarded(t, "b", "", "log"), filters: "gate log codec"},
		{name: "one that is by another name for proxies", before: guarded(t, "a", "", "gate@upstream.a.v3.A+00000000"), target: guarded(t, "b", "", "gate@upstream.a.v3.A+11111111")},
		{name: "options in the cluster", before: guarded(t, "a", "", "gate"), target: guarded(t, "b", ", http2_protocol_options: {}"), filters: "gate codec"},
		{name: "one more", before: guarded(t, "a", "", "gate"), target: guarded(t, "b", "", "gate", "log")},
		{name: "nothing else changes", before: guarded(t, "a", "", "gate"), target: guarded(t, "a", "")},
		{name: "a new cluster", before: &Snapshot{types: map[string]*collection{}}, target: guarded(t, "b", "")},
		{name: "a new proxy", target: guarded(t, "b", "")},
	} {
		has := len(c.target.All(resource.ExtensionConfigType))
		out, err := Interim(c.target, c.before)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if out == nil || c.filters == "" {
			if out != nil || c.filters != "" {
				t.Errorf("%s: in between is %v", c.name, out)
			}
			continue
		}
		if len(c.target.All(resource.ExtensionConfigType)) != has || out.ID == c.target.ID {
			t.Errorf("%s: the revision itself has changed", c.name)
		}
		var names []string
		options := clusterOptions(t, out)
		for _, f := range options.GetHttpFilters() {
			if names = append(names, f.GetName()); f.GetName() != "codec" && !slices.Contains(out.Required(resource.ExtensionConfigType), f.GetName()) {
				t.Errorf("%s: nothing has the filter %s", c.name, f.GetName())
			}
		}
		if got := strings.Join(names, " "); got != c.filters {
			t.Errorf("%s: the cluster has %s, want %s", c.name, got, c.filters)
		}
		if is := options.GetExplicitHttpConfig().GetHttpProtocolOptions() != nil; is != c.http1 || options.Validate() != nil {
			t.Errorf("%s: the cluster speaks %v", c.name, options)
		}
		if out.Get(resource.ListenerType, "ingress") != c.target.Get(resource.ListenerType, "ingress") {
			t.Errorf("%s: the listener is another", c.name)
		}
	}
}

func clusterOptions(t *testing.T, s *Snapshot) *upstreamv3.HttpProtocolOptions {
	t.Helper()
	c := &clusterv3.Cluster{}
	if err := s.Get(resource.ClusterType, "echo").Wire.GetResource().UnmarshalTo(c); err != nil {
		t.Fatal(err)
	}
	return optionsOf(c)
}
