package snapshot

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/wrapperspb"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// What a service must see of a request is looked at where a shadow listener answers in its
// place: by a mapper of local replies, which has the headers as the filters have left them,
// whichever route they led to, and makes of the answer another status where one of them is
// not as the check says.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/local_reply

// sees puts the mappers of the checks before those that a listener has itself.
func (s *Snapshot) sees(shadow *hcmv3.HttpConnectionManager, filters []string) {
	var mappers []*hcmv3.ResponseMapper
	for _, c := range s.Meta.Checks {
		if !slices.Contains(filters, c.Filter) || c.Unasked(fleet.InShadow) != "" {
			continue
		}
		var wrong []*accesslogv3.AccessLogFilter
		for _, m := range c.Expect.Upstream.Headers {
			if m.Text() {
				wrong = append(wrong, unlike(m)...)
			}
		}
		if len(wrong) > 0 {
			mappers = append(mappers, &hcmv3.ResponseMapper{
				Filter:     both(having(exactly(fleet.CheckHeader, c.Mark())), either(wrong)),
				StatusCode: wrapperspb.UInt32(uint32(c.Otherwise())),
			})
		}
	}
	if len(mappers) == 0 {
		return
	}
	if shadow.GetLocalReplyConfig() == nil {
		shadow.LocalReplyConfig = &hcmv3.LocalReplyConfig{}
	}
	shadow.LocalReplyConfig.Mappers = slices.Concat(mappers, shadow.GetLocalReplyConfig().GetMappers())
}

// awaits has a shadow listener read a request to its end before it answers, as most services
// do, where a check has a body: a filter may deny a request for its body, and the answer would
// be there before it.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/buffer_filter
func (s *Snapshot) awaits(shadow *hcmv3.HttpConnectionManager, filters []string) error {
	largest := 0
	for _, c := range s.Meta.Checks {
		if slices.Contains(filters, c.Filter) && c.Unasked(fleet.InShadow) == "" {
			largest = max(largest, len(c.Body))
		}
	}
	if largest == 0 {
		return nil
	}
	const more = 64 << 10 // that filters may add
	config, err := packAny(&bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(uint32(largest + more))})
	if err != nil {
		return err
	}
	router := len(shadow.GetHttpFilters()) - 1
	shadow.HttpFilters = slices.Insert(slices.Clone(shadow.GetHttpFilters()), max(0, router), &hcmv3.HttpFilter{
		Name: ShadowPrefix + "await", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: config},
	})
	return nil
}

// unlike are the ways in which a header may not be as it must be.
func unlike(m fleet.HeaderMatch) []*accesslogv3.AccessLogFilter {
	missing := having(&routev3.HeaderMatcher{Name: m.Name, HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{}})
	text, value := &matcherv3.StringMatcher{}, string(m.Value)
	switch m.Kind {
	case fleet.MatchAbsent:
		return []*accesslogv3.AccessLogFilter{having(&routev3.HeaderMatcher{
			Name: m.Name, HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true},
		})}
	case fleet.MatchPresent:
		return []*accesslogv3.AccessLogFilter{missing}
	case fleet.MatchChanged:
		return []*accesslogv3.AccessLogFilter{missing, having(exactly(m.Name, value))}
	case fleet.MatchEqual:
		text.MatchPattern = &matcherv3.StringMatcher_Exact{Exact: value}
	case fleet.MatchPrefix:
		text.MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: value}
	case fleet.MatchSuffix:
		text.MatchPattern = &matcherv3.StringMatcher_Suffix{Suffix: value}
	case fleet.MatchContains:
		text.MatchPattern = &matcherv3.StringMatcher_Contains{Contains: value}
	case fleet.MatchRegex:
		text.MatchPattern = &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: value}}
	}
	return []*accesslogv3.AccessLogFilter{missing, having(&routev3.HeaderMatcher{
		Name: m.Name, InvertMatch: true, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: text},
	})}
}

func having(m *routev3.HeaderMatcher) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_HeaderFilter{
		HeaderFilter: &accesslogv3.HeaderFilter{Header: m},
	}}
}

func both(a, b *accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_AndFilter{
		AndFilter: &accesslogv3.AndFilter{Filters: []*accesslogv3.AccessLogFilter{a, b}},
	}}
}

func either(list []*accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	if len(list) == 1 {
		return list[0] // Envoy wants two of them at least
	}
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_OrFilter{
		OrFilter: &accesslogv3.OrFilter{Filters: list},
	}}
}

// ownAnswers are the routes of the checks that say more of what the service answers than its
// status, or look at a body that it may have.
func (s *Snapshot) ownAnswers() []*routev3.Route {
	var out []*routev3.Route
	for _, c := range s.Meta.Checks {
		if c.Unasked(fleet.InShadow) != "" || !c.OwnAnswer() {
			continue
		}
		action := &routev3.DirectResponseAction{Status: uint32(c.Upstream)}
		if body := c.ServiceBody(); body != "" {
			action.Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: []byte(body)}}
		}
		r := &routev3.Route{
			Match: &routev3.RouteMatch{
				PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"},
				Headers:       []*routev3.HeaderMatcher{exactly(fleet.CheckHeader, c.Mark())},
			},
			Action: &routev3.Route_DirectResponse{DirectResponse: action},
		}
		seen := map[string]bool{}
		for _, h := range c.Service.Headers {
			add := &corev3.HeaderValueOption{
				Header:       &corev3.HeaderValue{Key: h.Name, Value: strings.ReplaceAll(h.Value, "%", "%%")},
				AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD, KeepEmptyValue: true,
			}
			if seen[h.Name] {
				add.AppendAction = corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD
			}
			seen[h.Name] = true
			r.ResponseHeadersToAdd = append(r.ResponseHeadersToAdd, add)
		}
		out = append(out, r)
	}
	return out
}

// largestAnswer is the length of the largest body of them, nil where Envoy's default will do.
func (s *Snapshot) largestAnswer() *wrapperspb.UInt32Value {
	const otherwise = 4096
	largest := 0
	for _, c := range s.Meta.Checks {
		largest = max(largest, len(c.ServiceBody()))
	}
	if largest <= otherwise {
		return nil
	}
	return wrapperspb.UInt32(uint32(largest))
}
