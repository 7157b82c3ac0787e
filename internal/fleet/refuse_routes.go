package fleet

import (
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	templatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	retemplatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/rewrite/uri_template/v3"
	"go.yaml.in/yaml/v3"
)

// refuseRoutes reports what Envoy refuses of the parts of a route configuration.
func (p *parser) refuseRoutes(m proto.Message, n *yaml.Node) {
	p.perFilter(m, n)
	switch m := m.(type) {
	case *routev3.RouteConfiguration:
		p.specifiers(m, n)
		p.answers(m, n)
	case *routev3.VirtualHost:
		if m.GetMatcher() != nil && len(m.GetRoutes()) > 0 {
			p.add(lineOf(n, "matcher"), "virtual host %q: give one of matcher and routes", m.GetName())
		}
	case *routev3.Route:
		p.template(m, n)
	case *templatev3.UriTemplateMatchConfig:
		if _, err := templateVariables(m.GetPathTemplate()); err != nil {
			p.add(lineOf(n, "path_template"), "path_template: %v", err)
		}
	case *retemplatev3.UriTemplateRewriteConfig:
		if _, err := rewriteVariables(m.GetPathTemplateRewrite()); err != nil {
			p.add(lineOf(n, "path_template_rewrite"), "path_template_rewrite: %v", err)
		}
	case *routev3.RetryPolicy_RetryBackOff:
		if most := m.GetMaxInterval(); most != nil && most.AsDuration() < m.GetBaseInterval().AsDuration() {
			p.add(lineOf(n, "max_interval"), "max_interval: %s is less than base_interval, %s", most.AsDuration(), m.GetBaseInterval().AsDuration())
		}
	case *routev3.WeightedCluster:
		p.shares(m, n)
	case *routev3.WeightedCluster_ClusterWeight:
		if (m.GetName() != "") == (m.GetClusterHeader() != "") {
			p.add(n.Line, "weighted_clusters: a cluster has one of name and cluster_header")
		}
	case *routev3.RouteAction_UpgradeConfig:
		connects := strings.EqualFold(m.GetUpgradeType(), "CONNECT") || strings.EqualFold(m.GetUpgradeType(), "CONNECT-UDP")
		if m.GetConnectConfig() != nil && !connects {
			p.add(lineOf(n, "connect_config"), "connect_config: an upgrade of type %q has none, CONNECT and CONNECT-UDP have", m.GetUpgradeType())
		}
	case *routev3.FilterConfig:
		if m.GetConfig() == nil && !m.GetDisabled() {
			p.add(n.Line, "typed_per_filter_config: a FilterConfig has a config, or disabled: true")
		}
	}
}

// shares reports weights that add up to more than Envoy can count.
func (p *parser) shares(w *routev3.WeightedCluster, n *yaml.Node) {
	var sum uint64
	for _, c := range w.GetClusters() {
		sum += uint64(c.GetWeight().GetValue())
	}
	if sum > math.MaxUint32 {
		p.add(lineOf(n, "clusters"), "weighted_clusters: the weights add up to %d, which is more than %d", sum, uint32(math.MaxUint32))
	}
}

// specifiers reports routes that leave their cluster to a plugin that is not there, and
// plugins that are none.
func (p *parser) specifiers(c *routev3.RouteConfiguration, n *yaml.Node) {
	known := map[string]bool{}
	for i, plugin := range c.GetClusterSpecifierPlugins() {
		known[plugin.GetExtension().GetName()] = true
		p.extension(plugin.GetExtension().GetTypedConfig(), lineOf(n, "cluster_specifier_plugins", i), "cluster_specifier_plugins")
	}
	for i, host := range c.GetVirtualHosts() {
		for j, r := range host.GetRoutes() {
			path := []any{"virtual_hosts", i, "routes", j, "route"}
			if name := r.GetRoute().GetClusterSpecifierPlugin(); name != "" && !known[name] {
				p.add(lineOf(n, append(path, "cluster_specifier_plugin")...), "cluster_specifier_plugin: %q is not under cluster_specifier_plugins", name)
			}
			p.extension(r.GetRoute().GetInlineClusterSpecifierPlugin().GetExtension().GetTypedConfig(),
				lineOf(n, append(path, "inline_cluster_specifier_plugin")...), "inline_cluster_specifier_plugin")
		}
	}
}

// extension reports a message of protobuf's own where an extension must be.
func (p *parser) extension(packed *anypb.Any, line int, field string) {
	if kind := typeOf(packed); packed != nil && strings.HasPrefix(kind, "google.protobuf.") && kind != "google.protobuf.Struct" {
		p.add(line, "%s: %s is no extension", field, kind)
	}
}

// template reports a path that is written anew by a template, of which no part was matched.
func (p *parser) template(r *routev3.Route, n *yaml.Node) {
	match, matched := Content(r.GetMatch().GetPathMatchPolicy().GetTypedConfig()).(*templatev3.UriTemplateMatchConfig)
	rewrite, rewritten := Content(r.GetRoute().GetPathRewritePolicy().GetTypedConfig()).(*retemplatev3.UriTemplateRewriteConfig)
	if rewritten && !matched {
		p.add(lineOf(n, "route", "path_rewrite_policy"), "path_rewrite_policy: a path is written by a template only where path_match_policy has matched one")
	}
	known, err := templateVariables(match.GetPathTemplate())
	names, wrong := rewriteVariables(rewrite.GetPathTemplateRewrite())
	if err != nil || wrong != nil {
		return // said where it stands
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			p.add(lineOf(n, "route", "path_rewrite_policy", "typed_config", "path_template_rewrite"), "path_template_rewrite: there is no variable %q in path_template", name)
		}
	}
}
