package snapshot

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

const (
	// ShadowPrefix begins the names of shadow listeners and of their filters.
	ShadowPrefix = "waxwing.shadow/"
	// ShadowStatPrefix is that of their statistics: http.waxwing_shadow.….
	ShadowStatPrefix = "waxwing_shadow"
	// UpstreamHeader of a probe is the status that a shadow listener answers with
	// if its filters let the request pass; without it, 200.
	UpstreamHeader = "x-waxwing-upstream"
)

const (
	wasmType = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"
	rbacType = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
)

// An Entry is a way into a proxy, by which its filters can be asked something.
type Entry struct {
	Listener string
	Chain    string          // its filter chain, where the listener has several
	Filters  []string        // those of the fleet file in its chain
	Address  *corev3.Address // of a real listener
	Shadow   bool
	HTTP2    bool // it understands nothing else
	// Socket is what a connection is made by to it; nil for a plain one.
	Socket *corev3.TransportSocket
	Why    string // why it can't be asked; "" if it can

	own      map[int]fleet.OwnAnswer // what its configuration answers itself, by the index of the check
	refusers []refuser               // of a real listener
	more     int                     // filter chains that can't be asked for the same reason
}

// Has reports whether a filter is in its chain.
func (e Entry) Has(filter string) bool { return slices.Contains(e.Filters, filter) }

// shadows are the resources that stand beside a snapshot's real ones: a listener
// with the same filters but a direct response for a service, and the filters under
// names of their own. They have no address: each proxy gives them one.
type shadows struct {
	listeners []*Resource
	filters   []*Resource // with the modules of this snapshot
	parked    []*Resource // with none: what a proxy holds while nothing is proven
	entries   []Entry
}

// cast makes the shadows of a snapshot's listeners.
func cast(s *Snapshot) (*shadows, error) {
	out := &shadows{}
	used := map[string]bool{}
	for _, r := range s.All(resource.ListenerType) {
		var l listenerv3.Listener
		if err := r.Wire.GetResource().UnmarshalTo(&l); err != nil {
			return nil, fmt.Errorf("reading listener %q: %w", r.Name, err)
		}
		if err := out.listener(s, &l, used); err != nil {
			return nil, fmt.Errorf("the shadow of listener %q: %w", r.Name, err)
		}
	}
	for _, f := range s.All(resource.ExtensionConfigType) {
		if !used[f.Name] {
			continue
		}
		if err := out.filter(f); err != nil {
			return nil, fmt.Errorf("the shadow of filter %q: %w", f.Name, err)
		}
	}
	return out, nil
}

// listener adds a shadow for each different HTTP filter chain of a listener that
// has filters to be shadowed, and the ways into the listener itself.
func (out *shadows) listener(s *Snapshot, l *listenerv3.Listener, used map[string]bool) error {
	seen := map[string]bool{}
	for _, chain := range chainsOf(l) {
		for _, f := range chain.GetFilters() {
			// The shadow's own codec finds out by itself what it is spoken to.
			if hcm := hcmOf(f); len(s.filtersOf(hcm.GetHttpFilters())) > 0 {
				if err := out.chain(s, l.GetName(), hcm, seen, used); err != nil {
					return err
				}
			}
		}
	}
	out.entries = append(out.entries, s.ways(l)...)
	return nil
}

func chainsOf(l *listenerv3.Listener) []*listenerv3.FilterChain {
	chains := slices.Clone(l.GetFilterChains())
	if c := l.GetDefaultFilterChain(); c != nil {
		chains = append(chains, c)
	}
	return chains
}

// hcmOf is a network filter's HTTP connection manager, or nil.
func hcmOf(f *listenerv3.Filter) *hcmv3.HttpConnectionManager {
	if f.GetTypedConfig() == nil {
		return nil
	}
	hcm, _ := fleet.Content(f.GetTypedConfig()).(*hcmv3.HttpConnectionManager)
	return hcm
}

// filtersOf are the fleet file's filters in a chain.
func (s *Snapshot) filtersOf(filters []*hcmv3.HttpFilter) []string {
	var names []string
	for _, f := range filters {
		if r := s.Get(resource.ExtensionConfigType, f.GetName()); r != nil && r.module != "" && f.GetConfigDiscovery().GetConfigSource().GetAds() != nil {
			names = append(names, f.GetName())
		}
	}
	return names
}

// chain adds the shadow of one HTTP connection manager.
func (out *shadows) chain(s *Snapshot, listener string, hcm *hcmv3.HttpConnectionManager, seen, used map[string]bool) error {
	shadow := proto.CloneOf(hcm)
	shadow.StatPrefix, shadow.AccessLog, shadow.AccessLogOptions, shadow.Tracing = ShadowStatPrefix, nil, nil, nil
	shadow.CodecType = hcmv3.HttpConnectionManager_AUTO
	var filters []string
	if shadow.HttpFilters, filters = s.chainBeside(hcm.GetHttpFilters()); len(filters) == 0 {
		return nil
	}
	upgrades := s.upgradesBeside(shadow)
	s.sees(shadow, filters)
	if err := s.awaits(shadow, filters); err != nil {
		return err
	}
	routes, err := s.routing(shadow, hcm)
	if err != nil {
		return err
	}
	key := strings.Join(append(filters, routes), "\x00")
	if seen[key] {
		return nil
	}
	name := ShadowPrefix + listener
	if len(seen) > 0 {
		name = fmt.Sprintf("%s/%d", name, len(seen)+1)
	}
	seen[key] = true
	for _, f := range slices.Concat(filters, upgrades) {
		used[f] = true
	}
	out.entries = append(out.entries, Entry{Listener: name, Filters: filters, Shadow: true})
	return out.add(name, shadow)
}

// chainBeside are the filters of a shadow listener, and the names of those of the fleet file.
func (s *Snapshot) chainBeside(real []*hcmv3.HttpFilter) (all []*hcmv3.HttpFilter, own []string) {
	ours := s.filtersOf(real)
	for _, f := range real {
		name := f.GetName()
		switch {
		case !slices.Contains(ours, name):
			if s.leftOut(f) != "" {
				continue
			}
		case slices.Contains(s.Meta.NoShadow, name):
			continue
		default:
			own = append(own, name)
			off := f.GetDisabled() // on some routes it is on
			f = discovered(ShadowPrefix + name)
			f.Disabled = off
			f.GetConfigDiscovery().TypeUrls = []string{wasmType, rbacType}
		}
		all = append(all, f)
	}
	return all, own
}

// upgradesBeside has the upgrades of a shadow listener that have filters of their own meet those that
// they are to meet there, and says which of the fleet file these are.
func (s *Snapshot) upgradesBeside(shadow *hcmv3.HttpConnectionManager) (own []string) {
	for _, upgrade := range shadow.GetUpgradeConfigs() {
		var some []string
		upgrade.Filters, some = s.chainBeside(upgrade.GetFilters())
		own = append(own, some...)
	}
	return own
}

func (out *shadows) add(name string, hcm *hcmv3.HttpConnectionManager) error {
	packed, err := packAny(hcm)
	if err != nil {
		return err
	}
	r, err := newResource(resource.ListenerType, name, &listenerv3.Listener{
		Name: name,
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name:       "envoy.filters.network.http_connection_manager",
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed},
		}}}},
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(32 << 10),
	})
	if err != nil {
		return err
	}
	if err := r.read(); err != nil {
		return err
	}
	r.shadow = true
	out.listeners = append(out.listeners, r)
	return nil
}

// answers are the routes of a shadow listener: what the service would say, as far
// as the checks know it.
func (s *Snapshot) answers() *routev3.RouteConfiguration {
	direct := func(status int) *routev3.Route_DirectResponse {
		return &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: uint32(status)}}
	}
	host := &routev3.VirtualHost{Name: shadowRoutes, Domains: []string{"*"}}
	var statuses []int
	host.Routes = s.ownAnswers()
	for _, c := range s.Meta.Checks {
		if c.Upstream != 200 && !slices.Contains(statuses, c.Upstream) {
			statuses = append(statuses, c.Upstream)
		}
	}
	slices.Sort(statuses)
	for _, status := range statuses {
		host.Routes = append(host.Routes, &routev3.Route{
			Match: &routev3.RouteMatch{
				PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"},
				Headers:       []*routev3.HeaderMatcher{exactly(UpstreamHeader, fmt.Sprint(status))},
			},
			Action: direct(status),
		})
	}
	host.Routes = append(host.Routes, &routev3.Route{
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: direct(200),
	})
	return &routev3.RouteConfiguration{
		Name: shadowRoutes, VirtualHosts: []*routev3.VirtualHost{host}, MaxDirectResponseBodySizeBytes: s.largestAnswer(),
	}
}

// filter adds a filter under its name in the shadow: the same bytes but for that.
func (out *shadows) filter(f *Resource) error {
	name := ShadowPrefix + f.Name
	r, err := f.as(name)
	if err != nil {
		return err
	}
	r.open, r.shadow = false, true
	out.filters = append(out.filters, r)

	// A policy that allows nothing.
	nothing, err := packAny(&httprbacv3.RBAC{Rules: &rbacv3.RBAC{Action: rbacv3.RBAC_ALLOW}})
	if err != nil {
		return err
	}
	parked, err := newResource(resource.ExtensionConfigType, name, &corev3.TypedExtensionConfig{Name: name, TypedConfig: nothing})
	if err != nil {
		return err
	}
	parked.shadow = true
	out.parked = append(out.parked, parked)
	return nil
}

// renamed is a marshalled TypedExtensionConfig with another name (field 1), the
// megabytes of the rest taken over as they are.
func renamed(value []byte, name string) ([]byte, error) {
	out := make([]byte, 0, len(value)+len(name))
	for rest := value; len(rest) > 0; {
		number, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		if number == 1 {
			out = protowire.AppendTag(out, 1, protowire.BytesType)
			out = protowire.AppendString(out, name)
		} else {
			out = append(out, rest[:n]...)
		}
		rest = rest[n:]
	}
	return out, nil
}

func exactly(header, value string) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{Name: header, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{
		StringMatch: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: value}},
	}}
}
