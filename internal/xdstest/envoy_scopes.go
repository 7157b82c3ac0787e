package xdstest

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// wildcard is the name of what is asked for all together.
const wildcard = "*"

// scopes are what a subscription to scopes of routes has.
type scopes struct {
	came  bool // its first response
	ready bool // and all routes of that
	known map[string]*routev3.ScopedRouteConfiguration
	named map[string]sourceKey // of each scope: its routes
}

// hosts are what routes have by VHDS.
type hosts struct {
	byVHDS bool
	hosted bool                            // some came since
	known  map[string]*routev3.VirtualHost // by name
}

// beginFirst asks for what a new process needs first.
func (e *Envoy) beginFirst() {
	for _, name := range e.config.Layers {
		e.watch(resource.RuntimeType).want(name)
	}
	if len(e.config.Layers) == 0 {
		e.watch(resource.ClusterType).wildcard = true
		return
	}
	e.within(fetchTimeout, func() bool { return len(e.layers) < len(e.config.Layers) }, func() {
		e.fault("the process waited %s for its runtime layers", fetchTimeout)
		e.watch(resource.ClusterType).wildcard = true
	})
}

func (e *Envoy) takeLayers(r *response) error {
	for _, one := range r.resources {
		e.layers[one.name] = one.packed
	}
	if len(e.layers) >= len(e.config.Layers) {
		e.watch(resource.ClusterType).wildcard = true
	}
	return nil
}

// Layer is a runtime layer that it has, nil for none.
func (e *Envoy) Layer(name string) *anypb.Any {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.layers[name]
}

// scopesWait names the routes that a new subscription to scopes waits for.
func (e *Envoy) scopesWait(s *source) []string {
	if s.ready {
		return nil
	}
	var out []string
	for _, key := range s.named {
		if text := e.missing([]sourceKey{key}); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// takeScopes: removals come first, so that a scope can have the key of one that goes.
func (e *Envoy) takeScopes(r *response) error {
	read := map[string]*routev3.ScopedRouteConfiguration{}
	for _, one := range r.resources {
		m := &routev3.ScopedRouteConfiguration{}
		if err := one.packed.UnmarshalTo(m); err != nil {
			return fmt.Errorf("scope %q %w: %w", one.name, errNotRead, err)
		}
		read[one.name] = m
	}
	for key, s := range e.sources {
		if key.url != resource.ScopedRouteType {
			continue
		}
		gone := r.removed
		for name := range s.scopes.known {
			if read[name] == nil && r.full {
				gone = append(gone, name)
			}
		}
		if err := e.updateScopes(key, s, read, gone); err != nil {
			return err
		}
	}
	e.listenersChanged()
	return nil
}

func (e *Envoy) updateScopes(key sourceKey, s *source, read map[string]*routev3.ScopedRouteConfiguration, gone []string) error {
	next := map[string]*routev3.ScopedRouteConfiguration{}
	for name, m := range s.scopes.known {
		next[name] = m
	}
	for _, name := range gone {
		delete(next, name)
	}
	for name, m := range read {
		next[name] = m
	}
	for name := range read {
		before := s.scopes.known[name]
		for other, n := range read {
			if before != nil && other != name && n.GetKey().String() == before.GetKey().String() {
				e.fault("scope %s has in one update the key that %s had: Envoy forgets it", other, name)
			}
		}
	}
	keys := map[string]string{}
	for name, m := range next {
		text := m.GetKey().String()
		if other := keys[text]; other != "" {
			return fmt.Errorf("scope key conflict found, first scope is '%s', second scope is '%s'", other, name)
		}
		keys[text] = name
	}
	return e.nameRoutes(key, s, next)
}

// nameRoutes asks for the routes of scopes, from where the scopes come from, and gives up
// those that no scope names any more.
func (e *Envoy) nameRoutes(key sourceKey, s *source, next map[string]*routev3.ScopedRouteConfiguration) error {
	var config corev3.ConfigSource
	if err := proto.Unmarshal([]byte(key.config), &config); err != nil {
		return fmt.Errorf("scopes %w: %w", errNotRead, err)
	}
	before := s.named
	s.came, s.scopes.known, s.named = true, next, map[string]sourceKey{}
	for name, m := range next {
		route, err := keyOf(resource.RouteType, m.GetRouteConfigurationName(), &config)
		if err != nil {
			return err
		}
		s.named[name] = route
		e.use(route)
	}
	for _, route := range before {
		e.unuse(route)
	}
	return nil
}

// takeRoute notes whether routes have their virtual hosts by VHDS. Those that they have
// stay, as long as they do.
func (e *Envoy) takeRoute(s *source) {
	var m routev3.RouteConfiguration
	if s.value.UnmarshalTo(&m) != nil {
		return
	}
	if by := m.GetVhds() != nil; by != s.byVHDS {
		s.hosts = hosts{byVHDS: by, known: map[string]*routev3.VirtualHost{}}
	}
	if s.byVHDS {
		e.watch(resource.VirtualHostType).wildcard = true
	}
}

// takeHosts gives virtual hosts, named ROUTES/NAME, to the routes that are there.
func (e *Envoy) takeHosts(r *response) error {
	for key, s := range e.sources {
		if key.url != resource.RouteType || !s.byVHDS {
			continue
		}
		for _, name := range r.removed {
			if strings.HasPrefix(name, key.name+"/") {
				delete(s.hosts.known, name)
				s.hosted = true
			}
		}
		for _, one := range r.resources {
			if !strings.HasPrefix(one.name, key.name+"/") {
				continue
			}
			m := &routev3.VirtualHost{}
			if err := one.packed.UnmarshalTo(m); err != nil {
				return fmt.Errorf("virtual host %q %w: %w", one.name, errNotRead, err)
			}
			s.hosts.known[one.name], s.hosted = m, true
		}
		if err := s.distinct(); err != nil {
			return err
		}
	}
	e.listenersChanged()
	return nil
}

// distinct refuses a domain that two virtual hosts of the same routes have.
func (h *hosts) distinct() error {
	taken := map[string]bool{}
	for _, host := range h.known {
		for _, domain := range host.GetDomains() {
			if taken[domain] {
				return fmt.Errorf("only unique values for domains are permitted: duplicate entry of domain %s", domain)
			}
			taken[domain] = true
		}
	}
	return nil
}

// routesFor are the routes that a request goes by, nil for none.
func (e *Envoy) routesFor(hcm *hcmv3.HttpConnectionManager, headers map[string]string) *routev3.RouteConfiguration {
	if rds := hcm.GetRds(); rds != nil {
		return e.discoveredRoutes(rds.GetRouteConfigName(), rds.GetConfigSource())
	}
	scoped := hcm.GetScopedRoutes()
	if scoped == nil {
		return hcm.GetRouteConfig()
	}
	extractor := scoped.GetScopeKeyBuilder().GetFragments()[0].GetHeaderValueExtractor()
	for _, scope := range e.scopesOf(scoped) {
		if scope.GetKey().GetFragments()[0].GetStringKey() == headers[extractor.GetName()] {
			if scope.GetRouteConfiguration() != nil {
				return scope.GetRouteConfiguration()
			}
			return e.discoveredRoutes(scope.GetRouteConfigurationName(), scoped.GetRdsConfigSource())
		}
	}
	return nil
}

func (e *Envoy) scopesOf(scoped *hcmv3.ScopedRoutes) []*routev3.ScopedRouteConfiguration {
	out := scoped.GetScopedRouteConfigurationsList().GetScopedRouteConfigurations()
	if source := scoped.GetScopedRds().GetScopedRdsConfigSource(); source != nil {
		key, err := keyOf(resource.ScopedRouteType, wildcard, source)
		if s := e.sources[key]; err == nil && s != nil {
			for _, m := range s.scopes.known {
				out = append(out, m)
			}
		}
	}
	return out
}

// discoveredRoutes are those of a name, with the virtual hosts that they have by VHDS.
func (e *Envoy) discoveredRoutes(name string, config *corev3.ConfigSource) *routev3.RouteConfiguration {
	key, err := keyOf(resource.RouteType, name, config)
	s := e.sources[key]
	if err != nil || s == nil || s.value == nil {
		return nil
	}
	m := &routev3.RouteConfiguration{}
	if s.value.UnmarshalTo(m) != nil {
		return nil
	}
	for _, host := range s.hosts.known {
		m.VirtualHosts = append(m.VirtualHosts, host)
	}
	return m
}
