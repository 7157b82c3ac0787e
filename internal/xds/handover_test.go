package xds

import (
	"fmt"
	"strings"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// listeners makes a snapshot of listeners, "name:port" or "name:port/field: value" each, with
// the filter "auth" in the first.
func listeners(t *testing.T, list ...string) *snapshot.Snapshot {
	t.Helper()
	text := strings.ReplaceAll(fleetYAML, "%s", "echo")
	head, rest, _ := strings.Cut(text, "    - name: ingress\n")
	one, tail, _ := strings.Cut(rest, "  clusters:")
	var names []string
	for _, l := range list {
		name, port, _ := strings.Cut(l, ":")
		port, field, _ := strings.Cut(port, "/")
		names = append(names, name)
		head += "    - name: " + name + "\n      " + field + "\n" + strings.Replace(one, "port_value: 80}", "port_value: "+port+"}", 1)
	}
	head = strings.Replace(head, "listeners: [ingress]", fmt.Sprintf("listeners: [%s]", names[0]), 1)
	return buildOf(t, head+"  clusters:"+tail, "module")
}

// handovers are listeners before and after a change, and the updates by which each variant is sent it.
var handovers = map[string]struct {
	before, after []string
	delta, sotw   []string
}{
	"renamed": {
		[]string{"a:80", "b:81"}, []string{"c:80", "b:81"},
		[]string{"Listener c -a"}, []string{"Listener b c"},
	},
	"both renamed": {
		[]string{"a:80", "b:81"}, []string{"c:81", "d:80"},
		[]string{"Listener c d -a -b"}, []string{"Listener c d"},
	},
	"handed on by one that goes elsewhere": {
		[]string{"a:80"}, []string{"a:81", "c:80"},
		[]string{"Listener -a", "Listener a c"}, []string{"Listener ", "Listener a c"},
	},
	"two that change places, and one that stays": {
		[]string{"a:80", "b:81", "c:82"}, []string{"a:81", "b:80", "c:82"},
		[]string{"Listener -a -b", "Listener a b"}, []string{"Listener c", "Listener a b c"},
	},
	"bound from now on": {
		[]string{"a:80/bind_to_port: false", "b:81"}, []string{"a:80", "b:81"},
		[]string{"Listener -a", "Listener a"}, []string{"Listener b", "Listener a b"},
	},
	"bound no more, with nothing beside it": {
		[]string{"a:80"}, []string{"a:80/bind_to_port: false"},
		[]string{"Listener -a", "Listener a"}, []string{"Listener ", "Listener a"},
	},
	"bound from now on, elsewhere": {
		[]string{"a:80/bind_to_port: false"}, []string{"a:81"},
		[]string{"Listener a"}, []string{"Listener a"},
	},
	"alone at its address, and another that is changed": {
		[]string{"a:80", "b:81"}, []string{"a:80/enable_reuse_port: false", "b:81/freebind: true"},
		[]string{"Listener b -a", "Listener a"}, []string{"Listener b", "Listener a b"},
	},
	"bound from now on, by one that comes from elsewhere": {
		[]string{"a:80/bind_to_port: false", "b:81"}, []string{"b:80"},
		[]string{"Listener -a", "Listener b"}, []string{"Listener b", "Listener b"},
	},
	"bound from now on, by another name": {
		[]string{"a:80/bind_to_port: false", "b:81"}, []string{"c:80", "b:81"},
		[]string{"Listener -a", "Listener c"}, []string{"Listener b", "Listener b c"},
	},
	"another address": {
		[]string{"a:80"}, []string{"b:81"},
		[]string{"Listener b", "Listener -a"}, []string{"Listener a b", "Listener b"},
	},
}

// A listener whose address another takes goes in the same update, and no sooner: Envoy
// refuses the other as long as it has it.
func TestAddressHandedOver(t *testing.T) {
	for name, c := range handovers {
		t.Run(name, func(t *testing.T) {
			variants(t, func(t *testing.T, sotw bool) {
				h, p := serving(t, "a", sotw, listeners(t, c.before...))
				from := len(p.Responses())
				h.Assign("a", listeners(t, c.after...))
				h.expect(Served, "a")
				want := c.delta
				if sotw {
					want = c.sotw
				}
				check(t, "what it was sent", sent(p, from), want)
			})
		})
	}
}

// Where a listener is that a proxy had before it came to this server is not known: it
// goes with the update that brings another, if it goes.
func TestAddressHandedOverAfterReconnect(t *testing.T) {
	_, p := serving(t, "a", false, listeners(t, "a:80", "b:81"))
	p.Close()
	from := len(p.Responses())
	restarted := serve(t, Limits{})
	restarted.start(p, "a", listeners(t, "c:80", "b:81"))
	check(t, "what it was sent", sent(p, from), []string{"Listener c -a"})
	p.Close()

	from = len(p.Responses())
	restarted = serve(t, Limits{})
	same := listeners(t, "c:80", "b:81")
	restarted.start(p, "a", same)
	restarted.Assign("a", listeners(t, "c:80", "d:81"))
	restarted.expect(Served, "a")
	check(t, "what it was sent, of what it had on both", sent(p, from), []string{"Listener d -b"})
}

// What has the key of a scope goes before another has it, or with it; a virtual host that is
// gone goes with the one that has its domain.
func TestKeysHandedOver(t *testing.T) {
	const scope, host = "{name: %s, route_configuration_name: r, key: {fragments: [{string_key: k%s}]}}", "{name: r/%s, domains: [d%s]}"
	for name, c := range map[string]struct {
		url, section, text string
		before, after      []string
		want               []string
	}{
		"a scope renamed": {resource.ScopedRouteType, "scoped_routes", scope, []string{"a:1", "b:2"}, []string{"c:1", "b:2"}, []string{"ScopedRouteConfiguration c -a"}},
		"scopes that change keys": {
			resource.ScopedRouteType, "scoped_routes", scope, []string{"a:1", "b:2"}, []string{"a:2", "b:1"},
			[]string{"ScopedRouteConfiguration -a -b", "ScopedRouteConfiguration a b"},
		},
		"a host renamed":           {resource.VirtualHostType, "virtual_hosts", host, []string{"a:1", "b:2"}, []string{"c:1", "b:2"}, []string{"VirtualHost r/c -r/a"}},
		"hosts that change places": {resource.VirtualHostType, "virtual_hosts", host, []string{"a:1", "b:2"}, []string{"a:2", "b:1"}, []string{"VirtualHost r/a r/b"}},
	} {
		t.Run(name, func(t *testing.T) {
			of := func(list []string) *snapshot.Snapshot {
				var all []string
				for _, one := range list {
					name, key, _ := strings.Cut(one, ":")
					all = append(all, fmt.Sprintf(c.text, name, key))
				}
				return buildOf(t, strings.ReplaceAll(fleetYAML, "%s", "echo")+fmt.Sprintf(
					"\n  routes: [{name: r, vhds: {config_source: {ads: {}}}, virtual_hosts: [{name: x, domains: [x]}]}]\n  %s: [%s]\n", c.section, strings.Join(all, ", ")), "module")
			}
			h := serve(t, Limits{})
			p := xdstest.New(xdstest.Config{
				Node:  xdstest.Node("a", "edge", nil),
				Names: map[string][]string{resource.ExtensionConfigType: {"auth"}, c.url: {"*"}},
			})
			t.Cleanup(p.Close)
			h.start(p, "a", of(c.before))
			from := len(p.Responses())
			h.Assign("a", of(c.after))
			h.expect(Served, "a")
			check(t, "what it was sent", sent(p, from), c.want)
		})
	}
}
