package fleet

import (
	"fmt"
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"go.yaml.in/yaml/v3"
)

// listener reports a listener that Envoy can't open.
func (p *parser) listener(l *listenerv3.Listener, n *yaml.Node) {
	p.listenAddresses(l, n)
	if l.GetApiListener() != nil {
		return // it has the one filter that it is
	}
	p.listenSockets(l, n)
	chains := l.GetFilterChains()
	switch {
	case packets(l) && len(chains) > 0:
		p.add(lineOf(n, "filter_chains"), "listener %q is for UDP packets, which go through listener filters: it can have no filter chain", l.GetName())
	case packets(l) && l.GetDefaultFilterChain() != nil:
		p.add(lineOf(n, "default_filter_chain"), "listener %q is for UDP packets, which go through listener filters: it can have no filter chain", l.GetName())
	case l.GetAddress().GetSocketAddress().GetProtocol() == corev3.SocketAddress_UDP:
	case len(chains) == 0 && l.GetDefaultFilterChain() == nil:
		p.add(n.Line, "listener %q has no filter chain", l.GetName())
	}
	p.chainNames(l, n)
	p.overlaps(l, n)
}

// packets says that a listener takes UDP packets, and not QUIC's connections.
func packets(l *listenerv3.Listener) bool {
	return l.GetAddress().GetSocketAddress().GetProtocol() == corev3.SocketAddress_UDP && l.GetUdpListenerConfig().GetQuicOptions() == nil
}

func (p *parser) listenAddresses(l *listenerv3.Listener, n *yaml.Node) {
	switch {
	case l.GetInternalListener() != nil && l.GetAddress() != nil:
		p.add(lineOf(n, "address"), "listener %q is an internal one: it has no address", l.GetName())
	case l.GetInternalListener() != nil || l.GetApiListener() != nil: // of gRPC clients, which need none
	case l.GetAddress() == nil:
		p.add(n.Line, "listener %q has no address", l.GetName())
	}
	p.fixed(l.GetAddress(), n, "", "address")
	for i, more := range l.GetAdditionalAddresses() {
		p.fixed(more.GetAddress(), n, "", "additional_addresses", i, "address")
	}
}

// numeric reports an address that would have to be looked up first, if there is one. A
// resolver of an extension's may take any.
func (p *parser) numeric(s *corev3.SocketAddress, n *yaml.Node, advice string, path ...any) {
	if s == nil || s.GetResolverName() != "" {
		return
	}
	if _, err := netip.ParseAddr(s.GetAddress()); err != nil && s.GetAddress() != "" {
		p.add(lineOf(n, append(path, "address")...), "%q is not an IP address%s", s.GetAddress(), advice)
	}
	if s.GetNamedPort() != "" {
		p.add(lineOf(n, append(path, "named_port")...), "a port is a number: %q", s.GetNamedPort())
	}
}

// chainNames reports chains that a matcher could not tell apart.
func (p *parser) chainNames(l *listenerv3.Listener, n *yaml.Node) {
	if l.GetFilterChainMatcher() == nil {
		return
	}
	seen := map[string]bool{}
	for i, chain := range l.GetFilterChains() {
		line := lineOf(n, "filter_chains", i)
		switch name := chain.GetName(); {
		case name == "":
			p.add(line, "filter chain %d has no name, which filter_chain_matcher finds it by", i+1)
		case seen[name]:
			p.add(line, "filter chain %q is defined twice", name)
		}
		seen[chain.GetName()] = true
	}
}

// maxMatches bounds what the lists of a filter_chain_match multiply to.
const maxMatches = 10_000

// overlaps reports filter chains that the same connection would match. To Envoy each is
// as many matches as its lists have combinations, and no two chains may share one.
func (p *parser) overlaps(l *listenerv3.Listener, n *yaml.Node) {
	if l.GetFilterChainMatcher() != nil {
		return
	}
	taken, total := map[string]int{}, 0
	for i, chain := range l.GetFilterChains() {
		matches := combinations(chain.GetFilterChainMatch())
		if total += len(matches); total > maxMatches {
			return
		}
		for _, match := range matches {
			if other, ok := taken[match]; ok {
				p.add(lineOf(n, "filter_chains", i), "listener %q: filter chains %d and %d match the same connections", l.GetName(), other+1, i+1)
				break
			}
			taken[match] = i
		}
	}
}

// combinations are the matches that a filter_chain_match stands for, as texts.
func combinations(m *listenerv3.FilterChainMatch) []string {
	out := []string{fmt.Sprintf("%v %v %v", m.GetDestinationPort(), m.GetTransportProtocol(), m.GetSourceType())}
	var ports []string
	for _, port := range m.GetSourcePorts() {
		ports = append(ports, fmt.Sprint(port))
	}
	for _, list := range [][]string{
		prefixes(m.GetPrefixRanges()), lower(m.GetServerNames()), m.GetApplicationProtocols(),
		prefixes(m.GetDirectSourcePrefixRanges()), prefixes(m.GetSourcePrefixRanges()), ports,
	} {
		if len(list) == 0 {
			list = []string{""}
		}
		if len(out)*len(list) > maxMatches {
			return nil
		}
		out = times(out, list)
	}
	return out
}

func times(heads, tails []string) []string {
	out := make([]string, 0, len(heads)*len(tails))
	for _, head := range heads {
		for _, tail := range tails {
			out = append(out, head+"|"+tail)
		}
	}
	return out
}

func lower(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, strings.ToLower(name))
	}
	return out
}

// prefixes are ranges of addresses, each in one spelling.
func prefixes(ranges []*corev3.CidrRange) []string {
	var out []string
	for _, r := range ranges {
		text := fmt.Sprintf("%s/%d", r.GetAddressPrefix(), r.GetPrefixLen().GetValue())
		if prefix, err := netip.ParsePrefix(text); err == nil {
			text = prefix.Masked().String()
		}
		out = append(out, text)
	}
	return out
}

// serverNames reports wildcards that are none, and matches that Envoy does not have.
func (p *parser) serverNames(m *listenerv3.FilterChainMatch, n *yaml.Node) {
	if m.GetAddressSuffix() != "" || m.GetSuffixLen() != nil {
		p.add(n.Line, "filter_chain_match: address_suffix and suffix_len are in Envoy's API, but not in Envoy")
	}
	for i, name := range m.GetServerNames() {
		if strings.Contains(name, "*") && !strings.HasPrefix(name, "*.") {
			p.add(lineOf(n, "server_names", i), "server_names: %q: a star may only stand for the first part of a name, like *.example.com", name)
		}
	}
}

func (p *parser) cidrs(n *yaml.Node, field string, ranges []*corev3.CidrRange) {
	for i, r := range ranges {
		p.cidr(n, field, r, i)
	}
}

// cidr reports a range of addresses that begins with none.
func (p *parser) cidr(n *yaml.Node, field string, r *corev3.CidrRange, index ...any) {
	if _, err := netip.ParseAddr(r.GetAddressPrefix()); r.GetAddressPrefix() != "" && err != nil {
		p.add(lineOf(n, append(append([]any{field}, index...), "address_prefix")...), "%s: %q is not an IP address", field, r.GetAddressPrefix())
	}
}
