package fleet

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"go.yaml.in/yaml/v3"
)

// domains reports hosts that two virtual hosts of a route configuration have.
func (p *parser) domains(c *routev3.RouteConfiguration, n *yaml.Node) {
	taken := map[string]string{}
	for i, host := range c.GetVirtualHosts() {
		for j, domain := range host.GetDomains() {
			key := strings.ToLower(domain)
			if other, ok := taken[key]; ok {
				p.add(lineOf(n, "virtual_hosts", i, "domains", j), "virtual host %q: the domain %q is that of virtual host %q already", host.GetName(), domain, other)
				continue
			}
			taken[key] = host.GetName()
		}
	}
}

// weights reports clusters among which no request could be shared out.
func (p *parser) weights(w *routev3.WeightedCluster, n *yaml.Node) {
	var sum uint64
	for i, c := range w.GetClusters() {
		if c.GetWeight() == nil {
			p.add(lineOf(n, "clusters", i), "weighted_clusters: %q has no weight", c.GetName())
			return
		}
		sum += uint64(c.GetWeight().GetValue())
	}
	if sum == 0 && len(w.GetClusters()) > 0 {
		p.add(lineOf(n, "clusters"), "weighted_clusters: the weights add up to nothing")
	}
}

// rewrites reports a path that is rewritten in more than one way.
func (p *parser) rewrites(a *routev3.RouteAction, n *yaml.Node) {
	ways := 0
	for _, given := range []bool{a.GetPrefixRewrite() != "", a.GetRegexRewrite() != nil, a.GetPathRewritePolicy() != nil} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		p.add(n.Line, "route: give one of prefix_rewrite, regex_rewrite and path_rewrite_policy")
	}
}

// detection reports two ways to find out where a request comes from.
func (p *parser) detection(m *hcmv3.HttpConnectionManager, n *yaml.Node) {
	if len(m.GetOriginalIpDetectionExtensions()) > 0 && (m.GetUseRemoteAddress().GetValue() || m.GetXffNumTrustedHops() > 0) {
		p.add(lineOf(n, "original_ip_detection_extensions"), "original_ip_detection_extensions can't be combined with use_remote_address and xff_num_trusted_hops")
	}
}

// scopes reports scopes in a listener that name their routes: there Envoy takes them only
// written out.
func (p *parser) scopes(m *hcmv3.HttpConnectionManager, n *yaml.Node) {
	list := m.GetScopedRoutes().GetScopedRouteConfigurationsList().GetScopedRouteConfigurations()
	for i, scope := range list {
		if scope.GetRouteConfigurationName() != "" {
			p.add(lineOf(n, "scoped_routes", "scoped_route_configurations_list", "scoped_route_configurations", i),
				"scope %q: in a listener a scope has its routes in route_configuration: write them out, or list the scope under scoped_routes", scope.GetName())
		}
	}
}

// upgrades reports a protocol that a connection manager has two rules for.
func (p *parser) upgrades(m *hcmv3.HttpConnectionManager, n *yaml.Node) {
	seen := map[string]bool{}
	for i, u := range m.GetUpgradeConfigs() {
		kind := strings.ToLower(u.GetUpgradeType())
		if seen[kind] {
			p.add(lineOf(n, "upgrade_configs", i), "upgrade_configs: %q is given twice", u.GetUpgradeType())
		}
		seen[kind] = true
	}
}

// statuses reports ranges of HTTP statuses, without their ends, that are none.
func (p *parser) statuses(n *yaml.Node, field string, ranges []*typev3.Int64Range) {
	for i, r := range ranges {
		if r.GetStart() >= r.GetEnd() || r.GetStart() < 100 || r.GetEnd() > 600 {
			p.add(lineOf(n, field, i), "%s: from %d up to, not including, %d is no range of HTTP statuses", field, r.GetStart(), r.GetEnd())
		}
	}
}
