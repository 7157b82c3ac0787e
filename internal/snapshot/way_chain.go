package snapshot

import (
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// The protocols of HTTP, as TLS names them.
// https://www.iana.org/assignments/tls-extensiontype-values/tls-extensiontype-values.xhtml#alpn-protocol-ids
const (
	alpnHTTP1 = "http/1.1"
	alpnHTTP2 = "h2"
	alpnClear = "h2c" // what Envoy's http_inspector calls HTTP/2 without TLS
)

// reach finds a connection from the proxy itself that meets a filter chain, and says why there
// is none.
func (w *ways) reach(chain *listenerv3.FilterChain, http2 bool) (connection, string) {
	l, match := w.listener, chain.GetFilterChainMatch()
	if l.GetFilterChainMatcher() != nil {
		return connection{}, "its filter_chain_matcher chooses the filter chain: which one a connection from the proxy itself meets is not known"
	}
	c := connection{clients: w.clients, tls: chain.GetTransportSocket() != nil && !isRaw(chain)}
	names := match.GetServerNames()
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		if rest, wild := strings.CutPrefix(name, "*."); wild {
			name = "waxwing." + rest
		}
		c.sni = name
		for _, alpn := range w.alpnsFor(chain, c.tls, http2) {
			if c.alpn = alpn; met(l, w.inspected(c)) == chain {
				return c, ""
			}
		}
	}
	return c, w.unmet(match)
}

// alpnsFor are the application protocols that may be spoken to a filter chain, each list
// another try.
func (w *ways) alpnsFor(chain *listenerv3.FilterChain, tls, http2 bool) [][]string {
	clear, encrypted := alpnHTTP1, alpnHTTP1
	if http2 {
		clear, encrypted = alpnClear, alpnHTTP2
	}
	wanted := chain.GetFilterChainMatch().GetApplicationProtocols()
	switch {
	case !tls && !w.gate.has("http_inspector.v3.HttpInspector"):
		return [][]string{nil}
	case !tls && !http2 && slices.Contains(wanted, alpnClear) && !slices.Contains(wanted, alpnHTTP1):
		return nil // it would be asked HTTP/1
	case !tls:
		return [][]string{{clear}}
	}
	tries := [][]string{{encrypted}}
	if only := tlsOf(chain).GetCommonTlsContext().GetAlpnProtocols(); !http2 && len(only) > 0 && !slices.Contains(only, alpnHTTP1) && slices.Contains(only, alpnHTTP2) {
		tries = [][]string{{alpnHTTP2}}
	}
	for _, name := range wanted {
		if name == alpnHTTP2 {
			tries = append(tries, []string{name})
		} else if name != alpnHTTP1 {
			tries = append(tries, []string{name, encrypted})
		}
	}
	return tries
}

// inspected is what a listener knows of a connection: of TLS nothing that no tls_inspector has
// told it. Envoy adds none by itself. (Tried: 1.40.0.)
func (w *ways) inspected(c connection) connection {
	if c.tls && !w.gate.has(tlsInspector) {
		c.tls, c.sni, c.alpn = false, "", nil
	}
	return c
}

const tlsInspector = "tls_inspector.v3.TlsInspector"

// unmet says why no connection from the proxy itself meets a filter chain.
func (w *ways) unmet(match *listenerv3.FilterChainMatch) string {
	tls := match.GetTransportProtocol() == "tls" || len(match.GetServerNames())+len(match.GetApplicationProtocols()) > 0
	switch {
	case tls && !w.gate.has(tlsInspector) && !w.gate.has("http_inspector.v3.HttpInspector"):
		return "no connection meets its filter chain, which is chosen by what is said in TLS: the listener has no tls_inspector"
	case len(match.GetSourcePrefixRanges())+len(match.GetDirectSourcePrefixRanges()) > 0:
		return "its filter chain is for clients of other addresses (source_prefix_ranges) than the proxy, which asks the checks itself"
	case match.GetSourceType() == listenerv3.FilterChainMatch_EXTERNAL:
		return "its filter chain is for clients of other hosts (source_type: EXTERNAL): the proxy asks the checks itself"
	case len(match.GetSourcePorts()) > 0:
		return "its filter chain is for clients with certain ports (source_ports)"
	}
	return "no connection from the proxy itself meets its filter chain: another one of the listener does"
}

// met is the filter chain that a connection meets, nil for none. Envoy looks at one criterion
// after the other, and never goes back: what matches best stays.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/listener/v3/listener_components.proto#config-listener-v3-filterchainmatch
func met(l *listenerv3.Listener, c connection) *listenerv3.FilterChain {
	left := slices.Clone(l.GetFilterChains())
	for _, fits := range criteria {
		best := -1
		for _, chain := range left {
			best = max(best, fits(chain.GetFilterChainMatch(), c))
		}
		left = slices.DeleteFunc(left, func(chain *listenerv3.FilterChain) bool {
			n := fits(chain.GetFilterChainMatch(), c)
			return n < 0 || n < best
		})
	}
	if len(left) == 0 {
		return l.GetDefaultFilterChain()
	}
	return left[0]
}

// criteria are those of a match, in Envoy's order: each says how well a connection fits, 0 where
// it is not asked for, and less where it does not fit.
var criteria = []func(*listenerv3.FilterChainMatch, connection) int{
	func(m *listenerv3.FilterChainMatch, c connection) int {
		return whether(m.GetDestinationPort() != nil, c.from.IsValid() && m.GetDestinationPort().GetValue() == c.port)
	},
	func(m *listenerv3.FilterChainMatch, c connection) int { return within(m.GetPrefixRanges(), c.from) },
	func(m *listenerv3.FilterChainMatch, c connection) int { return nameFits(m.GetServerNames(), c.sni) },
	func(m *listenerv3.FilterChainMatch, c connection) int {
		spoken := map[bool]string{true: "tls", false: "raw_buffer"}[c.tls]
		return whether(m.GetTransportProtocol() != "", m.GetTransportProtocol() == spoken)
	},
	func(m *listenerv3.FilterChainMatch, c connection) int {
		for i, spoken := range c.alpn {
			if slices.Contains(m.GetApplicationProtocols(), spoken) {
				return len(c.alpn) - i
			}
		}
		return whether(len(m.GetApplicationProtocols()) > 0, false)
	},
	func(m *listenerv3.FilterChainMatch, c connection) int {
		return within(m.GetDirectSourcePrefixRanges(), c.from)
	},
	func(m *listenerv3.FilterChainMatch, _ connection) int {
		return whether(m.GetSourceType() != listenerv3.FilterChainMatch_ANY, m.GetSourceType() == listenerv3.FilterChainMatch_SAME_IP_OR_LOOPBACK)
	},
	func(m *listenerv3.FilterChainMatch, c connection) int {
		return within(m.GetSourcePrefixRanges(), c.from)
	},
	func(m *listenerv3.FilterChainMatch, _ connection) int {
		return whether(len(m.GetSourcePorts()) > 0, false)
	},
}

func whether(asked, fits bool) int {
	switch {
	case !asked:
		return 0
	case fits:
		return 1
	}
	return -1
}

// within is how long the longest prefix is that an address has, and one more.
func within(ranges []*corev3.CidrRange, ip netip.Addr) int {
	if len(ranges) == 0 {
		return 0
	}
	best := -1
	for _, r := range ranges {
		if has(r, ip) {
			best = max(best, int(r.GetPrefixLen().GetValue())+1)
		}
	}
	return best
}

func has(r *corev3.CidrRange, ip netip.Addr) bool {
	at, err := netip.ParseAddr(r.GetAddressPrefix())
	if err != nil {
		return false
	}
	prefix, err := at.Prefix(int(r.GetPrefixLen().GetValue()))
	return err == nil && prefix.Contains(ip)
}

// nameFits is how well a server name fits: an exact one best, then the longest suffix.
func nameFits(names []string, sni string) int {
	if len(names) == 0 {
		return 0
	}
	best := -1
	for _, name := range names {
		if suffix, wild := strings.CutPrefix(name, "*"); wild && strings.HasSuffix(sni, suffix) {
			best = max(best, len(suffix))
		} else if name == sni {
			best = 1 << 16
		}
	}
	return best
}
