package xds

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// scopes is a snapshot with a listener for each port whose routes are by scopes, and scopes, which are
// "name:key:route".
func scopes(t *testing.T, ports []int, list ...string) *snapshot.Snapshot {
	t.Helper()
	var all []string
	for _, one := range list {
		words := strings.Split(one, ":")
		all = append(all, fmt.Sprintf("{name: %s, route_configuration_name: %s, key: {fragments: [{string_key: %s}]}}", words[0], words[2], words[1]))
	}
	return buildOf(t, scopedText(ports...)+fmt.Sprintf("\n  routes: [{name: r8}, {name: r11}]\n  scoped_routes: [%s]\n", strings.Join(all, ", ")), "module")
}

// Scopes stay on a proxy while listeners drain that are gone. A listener that comes meanwhile would
// choose among them at once: it comes when the proxy has its own, and no others.
func TestScopesOfBeforeAreNotThoseOfANewListener(t *testing.T) {
	for name, c := range map[string]struct {
		before, after []string // scopes
		ports         []int    // of listeners that have scopes meanwhile
		again         bool     // the proxy connects again meanwhile
		forgets       bool     // and the server does not know any more what it has sent
		delta, sotw   []string // what it is sent as far as the listener
	}{
		"another route":   {before: []string{"a:k:r8"}, after: []string{"a:k:r11"}, delta: []string{"ScopedRouteConfiguration a"}},
		"another name":    {before: []string{"a:k:r8"}, after: []string{"b:k:r11"}, delta: []string{"ScopedRouteConfiguration b -a"}, sotw: []string{"ScopedRouteConfiguration b"}},
		"one that is not": {before: []string{"a:k:r8", "b:l:r8"}, after: []string{"a:k:r8"}, delta: []string{"ScopedRouteConfiguration -b"}, sotw: []string{"ScopedRouteConfiguration a"}},
		"both": {
			before: []string{"a:k:r8", "b:l:r8"}, after: []string{"a:k:r11"},
			delta: []string{"ScopedRouteConfiguration a", "ScopedRouteConfiguration -b"}, sotw: []string{"ScopedRouteConfiguration a b", "ScopedRouteConfiguration a"},
		},
		"the same":            {before: []string{"a:k:r8"}, after: []string{"a:k:r8"}},
		"after it came again": {before: []string{"a:k:r8"}, after: []string{"a:k:r11"}, again: true, delta: []string{"ScopedRouteConfiguration a"}},
		"another name, after it came again": {
			before: []string{"a:k:r8"}, after: []string{"b:k:r11"}, again: true,
			delta: []string{"ScopedRouteConfiguration b -a"}, sotw: []string{"ScopedRouteConfiguration b"},
		},
		"another name, after all is forgotten": {
			before: []string{"a:k:r8"}, after: []string{"b:k:r11"}, again: true, forgets: true,
			delta: []string{"ScopedRouteConfiguration b -a"}, sotw: []string{},
		},
		"each other's keys, after it came again": {
			before: []string{"a:k:r8", "b:l:r8"}, after: []string{"a:l:r8", "b:k:r8"}, again: true,
			delta: []string{"ScopedRouteConfiguration -a -b", "ScopedRouteConfiguration a b"}, sotw: []string{"ScopedRouteConfiguration ", "ScopedRouteConfiguration a b"},
		},
		"each other's keys, after all is forgotten": {
			before: []string{"a:k:r8", "b:l:r8"}, after: []string{"a:l:r8", "b:k:r8"}, again: true, forgets: true,
			delta: []string{"ScopedRouteConfiguration -a -b", "ScopedRouteConfiguration a b"}, sotw: []string{},
		},
		"a key that was another's, after all is forgotten": {
			before: []string{"a:k:r8", "b:l:r8"}, after: []string{"a:l:r8", "c:k:r8"}, again: true, forgets: true,
			delta: []string{"ScopedRouteConfiguration c -a -b", "ScopedRouteConfiguration a"}, sotw: []string{},
		},
		"others have scopes":   {before: []string{"a:k:r8"}, after: []string{"a:k:r8", "b:l:r8"}, ports: []int{19000}},
		"others have scopes 2": {before: []string{"a:k:r8"}, after: []string{"a:k:r11"}, ports: []int{19000}},
	} {
		variants(t, func(t *testing.T, sotw bool) {
			h := serve(t, Limits{})
			h.drain = drainTime
			p := xdstest.New(xdstest.Config{
				Node: xdstest.Node("a", "edge", nil), SotW: sotw,
				Names: map[string][]string{resource.ExtensionConfigType: {"auth"}, resource.RouteType: {"r8", "r11"}, resource.ScopedRouteType: {"*"}},
			})
			t.Cleanup(p.Close)
			h.start(p, "a", scopes(t, []int{19000}, c.before...))
			meanwhile := scopes(t, c.ports)
			if c.ports == nil {
				h.Assign("a", meanwhile)
				h.expect(Served, "a")
			}
			if c.again {
				p.Close()
				h.expect(Disconnected, "a")
				if c.forgets {
					h.sets = sets{}
				}
				h.start(p, "a", meanwhile)
				h.eventually(func() bool { return asksFor(h.sessionOf("a"), resource.ScopedRouteType) })
			}
			from := len(p.Responses())
			h.Assign("a", scopes(t, append(c.ports, 19001), c.after...))
			h.expect(Served, "a")
			got := sent(p, from)
			at := slices.IndexFunc(got, func(one string) bool { return strings.Contains(one, "scoped-19001") })
			want := c.delta
			if sotw && c.sotw != nil {
				want = c.sotw
			}
			if at < 0 {
				t.Fatalf("%s: it was sent %q", name, got)
			}
			check(t, name+": before the listener it was sent", got[:at], want)
		})
	}
}

// asksFor is whether a proxy has said that it wants resources of a type.
func asksFor(s *session, url string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.types[url] != nil
}

// So it is with routes, and with virtual hosts that routes have from a service.
func TestRoutesOfBeforeAreNotThoseOfANewListener(t *testing.T) {
	const byVHDS = "\n  routes: [{name: r8, vhds: {config_source: {ads: {}}}, virtual_hosts: [{name: x, domains: [x]}]}]\n  virtual_hosts: [{name: r8/%s, domains: [%s]}]\n"
	for name, c := range map[string]struct {
		before, after string
		want          []string
	}{
		"a route": {
			"\n  routes: [{name: r8, virtual_hosts: [{name: x, domains: [a]}]}]\n", "\n  routes: [{name: r8, virtual_hosts: [{name: x, domains: [b]}]}]\n",
			[]string{"RouteConfiguration r8"},
		},
		"a virtual host":           {fmt.Sprintf(byVHDS, "a", "a"), fmt.Sprintf(byVHDS, "a", "b"), []string{"VirtualHost r8/a"}},
		"of another name":          {fmt.Sprintf(byVHDS, "a", "a"), fmt.Sprintf(byVHDS, "b", "b"), []string{"VirtualHost r8/b", "VirtualHost -r8/a"}},
		"of another, in its place": {fmt.Sprintf(byVHDS, "a", "a"), fmt.Sprintf(byVHDS, "b", "a"), []string{"VirtualHost r8/b -r8/a"}},
		"nothing else":             {fmt.Sprintf(byVHDS, "a", "a"), fmt.Sprintf(byVHDS, "a", "a"), nil},
	} {
		h := serve(t, Limits{})
		h.drain = drainTime
		p := xdstest.New(xdstest.Config{
			Node:  xdstest.Node("a", "edge", nil),
			Names: map[string][]string{resource.ExtensionConfigType: {"auth"}, resource.RouteType: {"r8"}, resource.VirtualHostType: {"*"}},
		})
		t.Cleanup(p.Close)
		h.start(p, "a", buildOf(t, scopedText(19000)+c.before, "module"))
		h.Assign("a", buildOf(t, scopedText(), "module"))
		h.expect(Served, "a")
		from := len(p.Responses())
		h.Assign("a", buildOf(t, scopedText(19001)+c.after, "module"))
		h.expect(Served, "a")
		got := sent(p, from)
		at := slices.IndexFunc(got, func(one string) bool { return strings.HasPrefix(one, "Listener") })
		if at < 0 {
			t.Fatalf("%s: it was sent %q", name, got)
		}
		check(t, name+": before the listener it was sent", got[:at], c.want)
	}
}
