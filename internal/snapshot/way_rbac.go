package snapshot

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// A tristate is what is known of a rule of RBAC without the request.
type tristate int

const (
	no tristate = iota
	maybe
	yes
)

func known(is bool) tristate {
	if is {
		return yes
	}
	return no
}

// rulesAllow is whether RBAC lets a connection in, or requests on it. peer says that what
// addresses they are said to come from is theirs, and not a header's.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/rbac/v3/rbac.proto
func rulesAllow(rules *rbacv3.RBAC, matcher bool, c connection, peer bool) tristate {
	if matcher {
		return maybe
	}
	if rules == nil || rules.GetAction() == rbacv3.RBAC_LOG {
		return yes
	}
	some := no
	for _, p := range rules.GetPolicies() {
		one := min(oneOf(p.GetPermissions(), func(p *rbacv3.Permission) tristate { return permitted(p, c) }),
			oneOf(p.GetPrincipals(), func(p *rbacv3.Principal) tristate { return isPrincipal(p, c, peer) }))
		if p.GetCondition() != nil || p.GetCheckedCondition() != nil {
			one = min(one, maybe)
		}
		some = max(some, one)
	}
	if rules.GetAction() == rbacv3.RBAC_DENY {
		return yes - some
	}
	return some
}

func oneOf[T *rbacv3.Permission | *rbacv3.Principal](of []T, is func(T) tristate) tristate {
	out := no
	for _, one := range of {
		out = max(out, is(one))
	}
	return out
}

func allOf[T *rbacv3.Permission | *rbacv3.Principal](of []T, is func(T) tristate) tristate {
	out := yes
	for _, one := range of {
		out = min(out, is(one))
	}
	return out
}

func isPrincipal(p *rbacv3.Principal, c connection, peer bool) tristate {
	each := func(p *rbacv3.Principal) tristate { return isPrincipal(p, c, peer) }
	from := func(r *corev3.CidrRange) tristate { return known(has(r, c.from)) }
	switch of := p.GetIdentifier().(type) {
	case *rbacv3.Principal_AndIds:
		return allOf(of.AndIds.GetIds(), each)
	case *rbacv3.Principal_OrIds:
		return oneOf(of.OrIds.GetIds(), each)
	case *rbacv3.Principal_NotId:
		return yes - each(of.NotId)
	case *rbacv3.Principal_Any:
		return yes
	case *rbacv3.Principal_Authenticated_:
		return no // the checks have no certificate
	case *rbacv3.Principal_DirectRemoteIp:
		return from(of.DirectRemoteIp)
	case *rbacv3.Principal_RemoteIp:
		if peer {
			return from(of.RemoteIp)
		}
	case *rbacv3.Principal_SourceIp:
		if peer {
			return from(of.SourceIp) //nolint:staticcheck // as above
		}
	case *rbacv3.Principal_Header:
		return c.hasHeader(of.Header)
	case *rbacv3.Principal_UrlPath:
		return c.hasPath(of.UrlPath)
	}
	return maybe
}

func permitted(p *rbacv3.Permission, c connection) tristate {
	each := func(p *rbacv3.Permission) tristate { return permitted(p, c) }
	switch of := p.GetRule().(type) {
	case *rbacv3.Permission_AndRules:
		return allOf(of.AndRules.GetRules(), each)
	case *rbacv3.Permission_OrRules:
		return oneOf(of.OrRules.GetRules(), each)
	case *rbacv3.Permission_NotRule:
		return yes - each(of.NotRule)
	case *rbacv3.Permission_Any:
		return yes
	case *rbacv3.Permission_DestinationIp:
		return known(has(of.DestinationIp, c.from))
	case *rbacv3.Permission_DestinationPort:
		return known(of.DestinationPort == c.port)
	case *rbacv3.Permission_DestinationPortRange:
		at := int32(c.port)
		return known(at >= of.DestinationPortRange.GetStart() && at < of.DestinationPortRange.GetEnd())
	case *rbacv3.Permission_Header:
		return c.hasHeader(of.Header)
	case *rbacv3.Permission_UrlPath:
		return c.hasPath(of.UrlPath)
	}
	return maybe
}

// hasHeader is whether the request of a connection has a header.
func (c connection) hasHeader(h *routev3.HeaderMatcher) tristate {
	if c.check == nil {
		return maybe
	}
	if matches, sure := c.check.MatchesHeader(h); sure {
		return known(matches)
	}
	return maybe
}

// hasPath is whether it has a path, of which RBAC looks at what is before the query.
func (c connection) hasPath(m *matcherv3.PathMatcher) tristate {
	if c.check == nil || m.GetPath() == nil {
		return maybe
	}
	if matches, sure := c.check.MatchesPath(m.GetPath()); sure {
		return known(matches)
	}
	return maybe
}
