package fleet

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// A request that the filters let pass may meet no service all the same: the routes answer it. A
// check that wants the service's answer can't hold there, whatever its filter does. What is found
// here is sure, if no filter changes the request: all else counts as not known.

// An OwnAnswer is how a listener's configuration itself answers a request, and what of it does.
// Its zero value: not at all, as far as is known.
type OwnAnswer struct {
	Status int
	Why    string
}

// A Router is what answers the requests that the filters of a connection manager let pass, where
// this fleet has all of its routes; nil where it has not.
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/http/http_routing
type Router struct{ table *routev3.RouteConfiguration }

// Router is that of a connection manager.
func (of Lookup) Router(hcm *hcmv3.HttpConnectionManager) *Router {
	if rds := hcm.GetRds(); hcm.GetScopedRoutes() != nil || rds != nil && !isADS(rds.GetConfigSource()) || !routes(hcm) {
		return nil
	}
	table := of.Table(hcm)
	if table == nil || table.GetVhds() != nil && !isADS(table.GetVhds().GetConfigSource()) || table.GetVhostHeader() != "" {
		return nil
	}
	return &Router{table}
}

// Answer is how it answers a check itself. secure says that the request comes by TLS. The filters
// come first: a route that does not exist, a redirect to TLS and a direct response are all
// answered by the router, the last of them.
func (r *Router) Answer(c Check, secure bool) OwnAnswer {
	if r == nil || !plainRequest(c) {
		return OwnAnswer{}
	}
	host := hostFor(r.table, c.Host)
	if host == nil {
		why := "no virtual host of its routes is for the host " + c.Host
		if c.Host == defaultHost {
			why += " (`request: {host: NAME}` of a check asks for another)"
		}
		return OwnAnswer{http.StatusNotFound, why}
	}
	switch tls := host.GetRequireTls(); {
	case secure || tls == routev3.VirtualHost_NONE:
		return routesAnswer(host, c)
	case tls == routev3.VirtualHost_ALL && len(c.Values("x-forwarded-proto")) == 0:
		return OwnAnswer{http.StatusMovedPermanently, fmt.Sprintf("its virtual host %s wants TLS (require_tls), and the listener has none", host.GetName())}
	}
	return OwnAnswer{}
}

// SaysTo is whether some route says something to a filter.
func (r *Router) SaysTo(filter string) bool {
	says := false
	visit(r.table, nil, func(m proto.Message, _ *yaml.Node, _ bool) {
		if route, ok := m.(interface {
			GetTypedPerFilterConfig() map[string]*anypb.Any
		}); ok {
			says = says || route.GetTypedPerFilterConfig()[filter] != nil
		}
	})
	return says
}

// routes is whether what is left of a request by the filters of a connection manager is the
// router's, with the headers that it came with, and its answer the client's.
func routes(hcm *hcmv3.HttpConnectionManager) bool {
	if len(hcm.GetLocalReplyConfig().GetMappers())+len(hcm.GetEarlyHeaderMutationExtensions()) > 0 || len(hcm.GetHttpFilters()) == 0 {
		return false
	}
	last := hcm.GetHttpFilters()[len(hcm.GetHttpFilters())-1]
	return last.GetTypedConfig() != nil && typeOf(last.GetTypedConfig()) == filterPackage+"http.router.v3.Router"
}

func routesAnswer(host *routev3.VirtualHost, c Check) OwnAnswer {
	r, sure := surelyFor(host, c)
	if !sure {
		return OwnAnswer{}
	}
	if r == nil {
		return OwnAnswer{http.StatusNotFound, fmt.Sprintf("no route of its virtual host %s is for %s", host.GetName(), c.Asks())}
	}
	own := OwnAnswer{Why: fmt.Sprintf("a route of its virtual host %s answers %s itself", host.GetName(), c.Asks())}
	switch to := r.GetAction().(type) {
	case *routev3.Route_DirectResponse:
		own.Status, own.Why = int(to.DirectResponse.GetStatus()), own.Why+" (direct_response)"
	case *routev3.Route_Redirect:
		own.Status, own.Why = redirects[to.Redirect.GetResponseCode()], own.Why+" (redirect)"
	}
	if own.Status == 0 {
		return OwnAnswer{}
	}
	return own
}

var redirects = map[routev3.RedirectAction_RedirectResponseCode]int{
	routev3.RedirectAction_MOVED_PERMANENTLY:  http.StatusMovedPermanently,
	routev3.RedirectAction_FOUND:              http.StatusFound,
	routev3.RedirectAction_SEE_OTHER:          http.StatusSeeOther,
	routev3.RedirectAction_TEMPORARY_REDIRECT: http.StatusTemporaryRedirect,
	routev3.RedirectAction_PERMANENT_REDIRECT: http.StatusPermanentRedirect,
}

// surelyFor is the first route of a host that a request matches, nil for none. It is not sure
// where a header is looked at that others than the check may set.
func surelyFor(host *routev3.VirtualHost, c Check) (route *routev3.Route, sure bool) {
	if host.GetMatcher() != nil {
		return nil, false
	}
	path, _, _ := strings.Cut(c.Path, "?")
	for _, r := range host.GetRoutes() {
		if fits, known := pathMatches(r.GetMatch(), path); known && !fits {
			continue
		}
		others := slices.ContainsFunc(r.GetMatch().GetHeaders(), func(h *routev3.HeaderMatcher) bool { return !c.sets(h.GetName()) })
		matches, known := routeMatches(r.GetMatch(), c)
		if others || !known {
			return nil, false
		}
		if matches {
			return r, true
		}
	}
	return nil, true
}

// sets is whether a header of the request is as the check says, and not as Envoy does.
func (c Check) sets(header string) bool {
	header = strings.ToLower(header)
	switch {
	case header == ":scheme", strings.HasPrefix(header, "x-forwarded-"), strings.HasPrefix(header, "x-envoy-"), header == "x-request-id":
		return false
	}
	return len(headersOf(c, header)) > 0
}

// MatchesHeader is whether the request of a check has a header as it is wanted, and whether that
// is sure.
func (c Check) MatchesHeader(h *routev3.HeaderMatcher) (matches, sure bool) {
	matches, sure = headerMatches(h, c)
	return matches, sure && c.sets(h.GetName())
}

// MatchesPath is whether its path, without the query, is as it is wanted.
func (c Check) MatchesPath(m *matcherv3.StringMatcher) (matches, sure bool) {
	path, _, _ := strings.Cut(c.Path, "?")
	return stringMatches(m, path), plainRequest(c) && m.GetCustom() == nil
}

// plainRequest is whether neither host nor path are anything that Envoy may be told to read in
// another way: with ports, dots, slashes or what is escaped.
func plainRequest(c Check) bool {
	return plainHost.MatchString(c.Host) && plainPath.MatchString(c.Path)
}

var (
	plainHost = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	plainPath = regexp.MustCompile(`^(/|(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+/?)(\?[A-Za-z0-9_.~=&-]*)?$`)
)
