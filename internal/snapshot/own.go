package snapshot

import (
	"fmt"
	"net/http"

	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A listener's configuration may answer a check itself, in place of the service: by a virtual host
// that is for other hosts, say. A check that wants the service's answer holds in the shadow then,
// and never in the real listener. So this answer is as good there as the one that is wanted: it
// shows that the filters have let the request pass. It is asked all the same, since a filter may
// send requests elsewhere, and since one that crashes is found by it.

// own are the answers of an entry's configuration to the checks that want the service's, by
// the index of the check.
func (s *Snapshot) own(e *Entry, hcm *hcmv3.HttpConnectionManager, c connection) map[int]fleet.OwnAnswer {
	out := map[int]fleet.OwnAnswer{}
	var router *fleet.Router
	for i, check := range s.Meta.Checks {
		if !e.Has(check.Filter) || !check.Passes() || check.Unasked(fleet.InLive) != "" {
			continue
		}
		if router == nil {
			if router = fleet.Lookup(s.contents).Router(hcm); router == nil {
				break
			}
		}
		c.check = &s.Meta.Checks[i].Check
		own := s.deniedByRBAC(hcm, router, c)
		if own.Status == 0 {
			own = router.Answer(check.Check, c.tls)
		}
		if own.Status != 0 && !check.Expects(own.Status) {
			out[i] = own
		}
	}
	return out
}

// Own is how the listener's configuration itself answers the check at an index of Meta.Checks,
// where it wants another answer.
func (e Entry) Own(check int) fleet.OwnAnswer { return e.own[check] }

// An Answered is a check that the configuration of a real listener answers itself.
type Answered struct {
	Line int    // of the check in the fleet file
	Text string // which check, where and how
}

// OwnAnswers are those.
func (s *Snapshot) OwnAnswers() []Answered {
	var out []Answered
	for _, e := range s.Entries() {
		for i, c := range s.Meta.Checks {
			if own := e.Own(i); own.Status != 0 {
				out = append(out, Answered{c.Line, fmt.Sprintf("check %s: its answer (%s) is not shown by listener %s, which answers %d itself: %s",
					c.Name, c.StatusText(), e.Way(), own.Status, own.Why)})
			}
		}
	}
	return out
}

// deniedByRBAC is how an RBAC filter of HTTP refuses a check, if that is sure. A route may say
// otherwise.
func (s *Snapshot) deniedByRBAC(hcm *hcmv3.HttpConnectionManager, router *fleet.Router, c connection) fleet.OwnAnswer {
	for _, f := range hcm.GetHttpFilters() {
		rbac, is := s.contentOf(f).(*httprbacv3.RBAC)
		if is && !f.GetDisabled() && s.rbacAllows(hcm, rbac, c) == no && !router.SaysTo(f.GetName()) {
			return fleet.OwnAnswer{Status: http.StatusForbidden, Why: fmt.Sprintf("its HTTP filter %q (RBAC) refuses it", filterName(f))}
		}
	}
	return fleet.OwnAnswer{}
}

func (s *Snapshot) rbacAllows(hcm *hcmv3.HttpConnectionManager, rbac *httprbacv3.RBAC, c connection) tristate {
	return rulesAllow(rbac.GetRules(), rbac.GetMatcher() != nil, c, hcm.GetUseRemoteAddress().GetValue() || !s.forwarded())
}
