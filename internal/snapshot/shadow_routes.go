package snapshot

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A filter may be switched off on a path, have other settings on a host, or look at the
// metadata of a route. So a shadow listener has the routes of the real one: its hosts, what
// each route matches, and what it says to filters. What a route does is replaced by the
// answer of the checks, and what none matches is answered as well. Where the routes say
// nothing to filters they are left out, since tables of thousands of them are common.

const shadowRoutes = "waxwing.shadow"

// routing gives a shadow listener its routes. key sets them apart from those of another
// chain with the same filters; "" where the routes say nothing.
func (s *Snapshot) routing(shadow, real *hcmv3.HttpConnectionManager) (key string, err error) {
	of := fleet.Lookup(s.contents)
	if scopes := s.castScopes(of.Scopes(real)); scopes != nil {
		scopes.Name, scopes.ScopeKeyBuilder = shadowRoutes, real.GetScopedRoutes().GetScopeKeyBuilder()
		shadow.RouteSpecifier = &hcmv3.HttpConnectionManager_ScopedRoutes{ScopedRoutes: scopes}
		return keyOf(scopes)
	}
	table := of.Table(real)
	if !saysSomething(table) {
		shadow.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: s.answers()}
		return "", nil
	}
	cast := s.castRoutes(table)
	shadow.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: cast}
	return keyOf(cast)
}

func keyOf(m proto.Message) (string, error) {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("marshalling its routes: %w", err)
	}
	return hashOf(text), nil
}

// contents are the resources of a type, or the one of a name, read from what was marshalled here.
func (s *Snapshot) contents(typeURL, only string) iter.Seq2[string, proto.Message] {
	all := s.All(typeURL)
	if r := s.Get(typeURL, only); r != nil {
		all = []*Resource{r}
	} else if only != "" {
		all = nil
	}
	return func(yield func(string, proto.Message) bool) {
		for _, r := range all {
			if m, err := r.Wire.GetResource().UnmarshalNew(); err == nil && !yield(r.Name, m) {
				return
			}
		}
	}
}

// castScopes are scopes with routes as a shadow listener has them; nil where these say
// nothing to filters.
func (s *Snapshot) castScopes(scopes []*routev3.ScopedRouteConfiguration) *hcmv3.ScopedRoutes {
	list, says := &hcmv3.ScopedRouteConfigurationsList{}, false
	for _, scope := range scopes {
		says = says || saysSomething(scope.GetRouteConfiguration())
		list.ScopedRouteConfigurations = append(list.ScopedRouteConfigurations, &routev3.ScopedRouteConfiguration{
			Name: scope.GetName(), Key: scope.GetKey(), RouteConfiguration: s.castRoutes(scope.GetRouteConfiguration()),
		})
	}
	if !says {
		return nil
	}
	return &hcmv3.ScopedRoutes{ConfigSpecifier: &hcmv3.ScopedRoutes_ScopedRouteConfigurationsList{ScopedRouteConfigurationsList: list}}
}

// saysSomething is whether routes say something to filters.
func saysSomething(routes *routev3.RouteConfiguration) bool {
	says := len(routes.GetTypedPerFilterConfig()) > 0 || routes.GetMetadata() != nil
	for _, host := range routes.GetVirtualHosts() {
		says = says || len(host.GetTypedPerFilterConfig()) > 0 || host.GetMetadata() != nil || host.GetMatcher() != nil
		for _, r := range host.GetRoutes() {
			says = says || len(r.GetTypedPerFilterConfig()) > 0 || r.GetMetadata() != nil || len(perCluster(r)) > 0
		}
	}
	return says
}

// castRoutes are routes as a shadow listener has them.
func (s *Snapshot) castRoutes(routes *routev3.RouteConfiguration) *routev3.RouteConfiguration {
	out := &routev3.RouteConfiguration{
		Name: shadowRoutes, InternalOnlyHeaders: routes.GetInternalOnlyHeaders(), Metadata: routes.GetMetadata(),
		ResponseHeadersToAdd: routes.GetResponseHeadersToAdd(), ResponseHeadersToRemove: routes.GetResponseHeadersToRemove(),
		IgnorePortInHostMatching:           routes.GetIgnorePortInHostMatching(),
		IgnorePathParametersInPathMatching: routes.GetIgnorePathParametersInPathMatching(),
		VhostHeader:                        routes.GetVhostHeader(),
		TypedPerFilterConfig:               s.perFilter(routes.GetTypedPerFilterConfig()),
		MaxDirectResponseBodySizeBytes:     s.largestAnswer(),
	}
	answers, anyHost := s.answers().GetVirtualHosts()[0], false
	for _, host := range routes.GetVirtualHosts() {
		anyHost = anyHost || slices.Contains(host.GetDomains(), "*")
		out.VirtualHosts = append(out.VirtualHosts, s.castHost(host, answers.GetRoutes()))
	}
	if !anyHost {
		out.VirtualHosts = append(out.VirtualHosts, answers)
	}
	return out
}

// castHost is a virtual host whose routes have the answers of the checks.
func (s *Snapshot) castHost(host *routev3.VirtualHost, answers []*routev3.Route) *routev3.VirtualHost {
	out := &routev3.VirtualHost{
		Name: host.GetName(), Domains: host.GetDomains(), Metadata: host.GetMetadata(),
		ResponseHeadersToAdd: host.GetResponseHeadersToAdd(), ResponseHeadersToRemove: host.GetResponseHeadersToRemove(),
		TypedPerFilterConfig: s.perFilter(host.GetTypedPerFilterConfig()),
	}
	if host.GetMatcher() != nil {
		out.Matcher = s.castMatcher(host.GetMatcher(), answers)
		return out
	}
	for _, r := range host.GetRoutes() {
		out.Routes = append(out.Routes, s.castRoute(r, answers)...)
	}
	// What none matches: no filter sees a request that no route of a listener is for, of which
	// the checks need not know.
	out.Routes = append(out.Routes, answers...)
	return out
}

// castMatcher is a tree of matches whose leaves are routes.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-virtualhost
func (s *Snapshot) castMatcher(tree *xdsmatcherv3.Matcher, answers []*routev3.Route) *xdsmatcherv3.Matcher {
	out := proto.CloneOf(tree)
	eachAny(out.ProtoReflect(), func(leaf *anypb.Any) {
		var routes []*routev3.Route
		switch m := fleet.Content(leaf).(type) {
		case *routev3.Route:
			routes = s.castRoute(m, answers)
		case *routev3.RouteList:
			for _, r := range m.GetRoutes() {
				routes = append(routes, s.castRoute(r, answers)...)
			}
		default:
			return
		}
		// Routes were read from there, so that they can be packed.
		if packed, err := packAny(&routev3.RouteList{Routes: routes}); err == nil {
			leaf.TypeUrl, leaf.Value = packed.GetTypeUrl(), packed.GetValue()
		}
	})
	return out
}

// eachAny calls fn for each packed message below m.
func eachAny(m protoreflect.Message, fn func(*anypb.Any)) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		fn(packed)
		return
	}
	fleet.EachField(m, func(below protoreflect.Message) { eachAny(below, fn) })
}

// castRoute is a route, once for each answer of the checks.
func (s *Snapshot) castRoute(r *routev3.Route, answers []*routev3.Route) []*routev3.Route {
	config := s.perFilter(r.GetTypedPerFilterConfig())
	if of := s.perFilter(perCluster(r)); len(of) > 0 {
		config = merged(config, of)
	}
	var out []*routev3.Route
	for _, answer := range answers {
		match := proto.CloneOf(r.GetMatch())
		match.Headers = append(match.Headers, answer.GetMatch().GetHeaders()...)
		out = append(out, &routev3.Route{
			Name: r.GetName(), Match: match, Metadata: r.GetMetadata(), Action: answer.GetAction(),
			ResponseHeadersToAdd:    slices.Concat(answer.GetResponseHeadersToAdd(), r.GetResponseHeadersToAdd()),
			ResponseHeadersToRemove: r.GetResponseHeadersToRemove(), TypedPerFilterConfig: config,
		})
	}
	return out
}

// perCluster is what a route says to filters for the cluster that gets most of its requests:
// a direct response stands for one of them.
func perCluster(r *routev3.Route) map[string]*anypb.Any {
	var most *routev3.WeightedCluster_ClusterWeight
	for _, c := range r.GetRoute().GetWeightedClusters().GetClusters() {
		if most == nil || c.GetWeight().GetValue() > most.GetWeight().GetValue() {
			most = c
		}
	}
	return most.GetTypedPerFilterConfig()
}

func merged(config, over map[string]*anypb.Any) map[string]*anypb.Any {
	if config == nil {
		config = map[string]*anypb.Any{}
	}
	maps.Copy(config, over)
	return config
}

// perFilter is what is said to filters by name, those of the fleet file under the names that
// they have in the shadow.
func (s *Snapshot) perFilter(config map[string]*anypb.Any) map[string]*anypb.Any {
	if len(config) == 0 {
		return nil
	}
	out := map[string]*anypb.Any{}
	for name, c := range config {
		if r := s.Get(resource.ExtensionConfigType, name); r != nil && r.module != "" {
			name = ShadowPrefix + name
		}
		out[name] = c
	}
	return out
}
