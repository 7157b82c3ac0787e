package snapshot

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// bind puts the filters that name a listener into it, each before the router,
// in the order of the fleet file.
func bind(l *listenerv3.Listener, filters []fleet.Filter) (*listenerv3.Listener, error) {
	var names []string
	for _, f := range filters {
		if slices.Contains(f.Listeners, l.GetName()) {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return l, nil
	}
	bound := proto.CloneOf(l)
	chains := slices.Clone(bound.GetFilterChains())
	if c := bound.GetDefaultFilterChain(); c != nil {
		chains = append(chains, c)
	}
	for _, chain := range chains {
		for _, f := range chain.GetFilters() {
			if err := insert(f, names); err != nil {
				return nil, fmt.Errorf("listener %q: %w", l.GetName(), err)
			}
		}
	}
	return bound, nil
}

// insert adds filters before the last of an HTTP connection manager's, which
// must be the terminal one. Other network filters are left alone.
func insert(f *listenerv3.Filter, names []string) error {
	hcm := hcmOf(f)
	if len(hcm.GetHttpFilters()) == 0 {
		return nil
	}
	hcm.HttpFilters = before(hcm.GetHttpFilters(), names)
	// An upgrade (to websocket, or CONNECT) that has filters of its own meets no others.
	for _, upgrade := range hcm.GetUpgradeConfigs() {
		if own := upgrade.GetFilters(); len(own) > 0 {
			upgrade.Filters = before(own, slices.DeleteFunc(slices.Clone(names), func(name string) bool {
				return slices.ContainsFunc(own, func(f *hcmv3.HttpFilter) bool { return f.GetName() == name })
			}))
		}
	}
	repacked, err := packAny(hcm)
	f.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: repacked}
	return err
}

// before puts filters before the last of others.
func before(others []*hcmv3.HttpFilter, names []string) []*hcmv3.HttpFilter {
	added := make([]*hcmv3.HttpFilter, len(names))
	for i, name := range names {
		added[i] = discovered(name)
	}
	return slices.Insert(others, len(others)-1, added...)
}

// discovered is an HTTP filter whose configuration comes by ECDS. It has no
// default configuration and waits for the real one without a limit: until then
// the listener does not listen, and no request passes unfiltered.
func discovered(name string) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{
		ConfigDiscovery: &corev3.ExtensionConfigSource{
			ConfigSource: fleet.OwnSource(true),
			TypeUrls:     []string{"type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"},
		},
	}}
}
