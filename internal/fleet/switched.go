package fleet

import (
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"go.yaml.in/yaml/v3"
)

// SwitchedOff is whether the routes switch a filter off for the request of a check, in each
// listener that has it. The sandbox, which knows of no routes, is not to ask it then. What can't be
// told without a proxy counts as switched on.
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/http/http_filters#route-based-filter-chain
func (f *Fleet) SwitchedOff(filter Filter, c Check) bool {
	off, some := true, false
	for _, l := range f.Listeners {
		put := slices.Contains(filter.Listeners, l.GetName())
		visit(l, nil, func(m proto.Message, _ *yaml.Node, _ bool) {
			hcm, ok := m.(*hcmv3.HttpConnectionManager)
			if !ok {
				return
			}
			i := slices.IndexFunc(hcm.GetHttpFilters(), func(h *hcmv3.HttpFilter) bool { return h.GetName() == filter.Name })
			if i < 0 && !put {
				return
			}
			some = true
			byDefault := i >= 0 && hcm.GetHttpFilters()[i].GetDisabled()
			off = off && f.offIn(hcm, filter.Name, byDefault, c)
		})
	}
	return some && off
}

// offIn is whether a filter is off for a request in each route configuration that a connection
// manager may use.
func (f *Fleet) offIn(hcm *hcmv3.HttpConnectionManager, filter string, byDefault bool, c Check) bool {
	of := Lookup(f.Of)
	tables := []*routev3.RouteConfiguration{of.Table(hcm)}
	if hcm.GetScopedRoutes() != nil {
		tables = nil
		for _, scope := range of.Scopes(hcm) {
			tables = append(tables, scope.GetRouteConfiguration())
		}
	}
	for _, table := range tables {
		if !offAt(table, filter, byDefault, c) {
			return false
		}
	}
	return len(tables) > 0
}

// offAt is whether a filter is off at the route of a table that a request comes to: what is
// nearest to the route counts, and then what the listener says.
func offAt(table *routev3.RouteConfiguration, filter string, byDefault bool, c Check) bool {
	host := hostFor(table, c.Host)
	route, sure := routeFor(host, c)
	if !sure {
		return false
	}
	for _, at := range []map[string]*anypb.Any{route.GetTypedPerFilterConfig(), host.GetTypedPerFilterConfig(), table.GetTypedPerFilterConfig()} {
		if packed, said := at[filter]; said {
			config, ok := Content(packed).(*routev3.FilterConfig)
			return ok && config.GetDisabled()
		}
	}
	return byDefault
}
