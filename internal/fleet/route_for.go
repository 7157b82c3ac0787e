package fleet

import (
	"cmp"
	"net"
	"net/url"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// Which route a check's request comes to, as far as that can be told without a proxy: paths,
// headers and query parameters are compared as Envoy does. Each answer is what it is, and
// whether that is sure; what a match asks besides (a share of requests, metadata, a client's
// certificate, a tree of matches) is not known here.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-routematch

// hostFor is the virtual host for a host: the one with that domain, else the longest suffix
// ("*.b.c"), else the longest prefix ("a.*"), else "*"; nil for none.
func hostFor(table *routev3.RouteConfiguration, host string) *routev3.VirtualHost {
	host = strings.ToLower(host)
	if name, _, err := net.SplitHostPort(host); err == nil && table.GetIgnorePortInHostMatching() {
		host = name
	}
	var best *routev3.VirtualHost
	most := 0
	for _, h := range table.GetVirtualHosts() {
		for _, domain := range h.GetDomains() {
			if rank := domainRank(strings.ToLower(domain), host); rank > most {
				best, most = h, rank
			}
		}
	}
	return best
}

// domainRank is how well a domain matches a host, 0 for not at all.
func domainRank(domain, host string) int {
	const exact, suffix, prefix = 3 << 20, 2 << 20, 1 << 20
	switch {
	case domain == host:
		return exact
	case domain == "*":
		return 1
	case strings.HasPrefix(domain, "*") && strings.HasSuffix(host, domain[1:]) && len(host) >= len(domain):
		return suffix + len(domain)
	case strings.HasSuffix(domain, "*") && strings.HasPrefix(host, domain[:len(domain)-1]) && len(host) >= len(domain):
		return prefix + len(domain)
	}
	return 0
}

// routeFor is the first route of a host that a request matches, nil for none.
func routeFor(host *routev3.VirtualHost, c Check) (route *routev3.Route, sure bool) {
	if host.GetMatcher() != nil {
		return nil, false
	}
	for _, r := range host.GetRoutes() {
		if matches, sure := routeMatches(r.GetMatch(), c); matches || !sure {
			return r, sure
		}
	}
	return nil, true
}

func routeMatches(m *routev3.RouteMatch, c Check) (matches, sure bool) {
	path, query, _ := strings.Cut(c.Path, "?")
	matches, sure = pathMatches(m, path)
	for _, h := range m.GetHeaders() {
		has, known := headerMatches(h, c)
		matches, sure = matches && has, sure && known
	}
	values, _ := url.ParseQuery(query)
	for _, q := range m.GetQueryParameters() {
		has := values.Has(q.GetName())
		if s := q.GetStringMatch(); s != nil && has {
			has = stringMatches(s, values.Get(q.GetName()))
		} else if s == nil && q.GetQueryParameterMatchSpecifier() != nil {
			has = has == q.GetPresentMatch()
		}
		matches = matches && has
	}
	if m.GetGrpc() != nil {
		matches = matches && strings.HasPrefix(headerOf(c, "content-type"), "application/grpc")
	}
	more := m.GetRuntimeFraction() != nil || m.GetTlsContext() != nil || len(m.GetDynamicMetadata())+len(m.GetFilterState())+len(m.GetCookies()) > 0
	return matches, sure && (!matches || !more)
}

func pathMatches(m *routev3.RouteMatch, path string) (matches, sure bool) {
	fold := func(text string) string {
		if m.GetCaseSensitive() != nil && !m.GetCaseSensitive().GetValue() {
			return strings.ToLower(text)
		}
		return text
	}
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		return strings.HasPrefix(fold(path), fold(p.Prefix)), true
	case *routev3.RouteMatch_Path:
		return fold(path) == fold(p.Path), true
	case *routev3.RouteMatch_PathSeparatedPrefix:
		rest, ok := strings.CutPrefix(fold(path), fold(p.PathSeparatedPrefix))
		return ok && (rest == "" || rest[0] == '/'), true
	case *routev3.RouteMatch_SafeRegex:
		return whole(p.SafeRegex.GetRegex(), path), true
	case *routev3.RouteMatch_ConnectMatcher_:
		return false, true // CONNECT is not asked
	}
	return false, false
}

// headerOf is a header of a check's request, "" where it has none. Those given several times
// are one, joined, as in Envoy.
func headerOf(c Check, name string) string {
	values := headersOf(c, name)
	return strings.Join(values, ",")
}

func headersOf(c Check, name string) []string {
	switch name {
	case ":path":
		return []string{c.Path}
	case ":method":
		return []string{c.Method}
	case ":authority", "host":
		return []string{c.Host}
	}
	return c.Values(name)
}

func headerMatches(h *routev3.HeaderMatcher, c Check) (matches, sure bool) {
	name := strings.ToLower(h.GetName())
	has := len(headersOf(c, name)) > 0
	switch m := h.GetHeaderMatchSpecifier().(type) {
	case nil:
		matches = has
	case *routev3.HeaderMatcher_PresentMatch:
		matches = has == m.PresentMatch
	case *routev3.HeaderMatcher_StringMatch:
		if !has && !h.GetTreatMissingHeaderAsEmpty() {
			return false, true // also where it is inverted
		}
		if m.StringMatch.GetCustom() != nil {
			return false, false
		}
		matches = stringMatches(m.StringMatch, headerOf(c, name))
	default: // of the deprecated ones, and of ranges, nothing is said here
		return false, false
	}
	return matches != h.GetInvertMatch(), true
}

func stringMatches(m *matcherv3.StringMatcher, value string) bool {
	pattern := cmp.Or(m.GetExact(), m.GetPrefix(), m.GetSuffix(), m.GetContains())
	if m.GetIgnoreCase() {
		pattern, value = strings.ToLower(pattern), strings.ToLower(value)
	}
	switch m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return value == pattern
	case *matcherv3.StringMatcher_Prefix:
		return strings.HasPrefix(value, pattern)
	case *matcherv3.StringMatcher_Suffix:
		return strings.HasSuffix(value, pattern)
	case *matcherv3.StringMatcher_Contains:
		return strings.Contains(value, pattern)
	case *matcherv3.StringMatcher_SafeRegex:
		return whole(m.GetSafeRegex().GetRegex(), value)
	}
	return false
}

// whole is whether a regular expression, which Go and Envoy both read as RE2, is all of a text.
func whole(pattern, text string) bool {
	r, err := regexp.Compile(`^(?:` + pattern + `)$`)
	return err == nil && r.MatchString(text)
}
