package fleet

import (
	"iter"
	"strings"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// A Lookup finds the resources of a type with their names: all of them, or only the one of a
// name, for which no other has to be read.
type Lookup func(typeURL, only string) iter.Seq2[string, proto.Message]

// Of are the resources of a fleet file of a type, or the one of a name.
func (f *Fleet) Of(typeURL, only string) iter.Seq2[string, proto.Message] {
	return func(yield func(string, proto.Message) bool) {
		for _, r := range f.Resources {
			if r.Kind.Type == typeURL && (only == "" || r.Name == only) && !yield(r.Name, r.Message) {
				return
			}
		}
	}
}

// Table is the route configuration of a connection manager without scopes, written out there
// or a resource, with the virtual hosts that are resources too; nil where there is none.
func (of Lookup) Table(hcm *hcmv3.HttpConnectionManager) *routev3.RouteConfiguration {
	if rds := hcm.GetRds(); rds != nil {
		return of.named(rds.GetRouteConfigName())
	}
	return of.withHosts(hcm.GetRouteConfig())
}

// Scopes are the scopes of a connection manager, each with its routes written out.
func (of Lookup) Scopes(hcm *hcmv3.HttpConnectionManager) []*routev3.ScopedRouteConfiguration {
	scopes := hcm.GetScopedRoutes().GetScopedRouteConfigurationsList().GetScopedRouteConfigurations()
	if hcm.GetScopedRoutes().GetScopedRds() != nil {
		for _, m := range of(resource.ScopedRouteType, "") {
			if scope, ok := m.(*routev3.ScopedRouteConfiguration); ok {
				scopes = append(scopes, scope)
			}
		}
	}
	var out []*routev3.ScopedRouteConfiguration
	for _, scope := range scopes {
		table := of.withHosts(scope.GetRouteConfiguration())
		if table == nil {
			table = of.named(scope.GetRouteConfigurationName())
		}
		if table != nil {
			out = append(out, &routev3.ScopedRouteConfiguration{Name: scope.GetName(), Key: scope.GetKey(), RouteConfiguration: table})
		}
	}
	return out
}

func (of Lookup) named(name string) *routev3.RouteConfiguration {
	if name == "" {
		return nil
	}
	for _, m := range of(resource.RouteType, name) {
		if table, ok := m.(*routev3.RouteConfiguration); ok {
			return of.withHosts(table)
		}
	}
	return nil
}

// withHosts is a route configuration with the virtual hosts that come by VHDS, named ROUTE/NAME.
func (of Lookup) withHosts(table *routev3.RouteConfiguration) *routev3.RouteConfiguration {
	if table.GetVhds() == nil {
		return table
	}
	out := proto.CloneOf(table)
	for name, m := range of(resource.VirtualHostType, "") {
		if host, ok := m.(*routev3.VirtualHost); ok && strings.HasPrefix(name, table.GetName()+"/") {
			out.VirtualHosts = append(out.VirtualHosts, host)
		}
	}
	return out
}
