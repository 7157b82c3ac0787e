package snapshot

import (
	"strings"
	"testing"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

func seen(name string, matches ...fleet.HeaderMatch) Check {
	c := fleet.DefaultCheck(200)
	c.Name, c.Expect.Upstream.Headers = name, matches
	return Check{Filter: "gate", Check: c}
}

// A shadow listener looks at what the service would see for each check that says so, whatever
// is known of Envoy's configuration; its own mappers of local replies come after.
func TestShadowSees(t *testing.T) {
	otherwise := seen("c", fleet.HeaderMatch{Name: "x", Kind: fleet.MatchEqual, Value: "a"})
	otherwise.Expect.Statuses = []fleet.StatusRange{{From: 400, To: 499}}
	elsewhere := seen("d", fleet.HeaderMatch{Name: "x", Kind: fleet.MatchAbsent})
	elsewhere.Where = []fleet.Place{fleet.InLive}
	other := seen("e", fleet.HeaderMatch{Name: "x", Kind: fleet.MatchAbsent})
	other.Filter = "other"
	s := &Snapshot{Meta: Meta{Checks: []Check{
		seen("a", fleet.HeaderMatch{Name: "x", Kind: fleet.MatchAbsent}),
		seen("b", fleet.HeaderMatch{Name: "x", Kind: fleet.MatchEqual, Value: "\xe9"}), // which no text of Envoy's can have
		otherwise, elsewhere, other,
	}}}
	hcm := &hcmv3.HttpConnectionManager{LocalReplyConfig: &hcmv3.LocalReplyConfig{Mappers: []*hcmv3.ResponseMapper{{}}}}
	s.sees(hcm, []string{"gate"})
	mappers := hcm.GetLocalReplyConfig().GetMappers()
	if len(mappers) != 3 || mappers[0].GetStatusCode().GetValue() != 491 || mappers[1].GetStatusCode().GetValue() != 391 || mappers[2].GetFilter() != nil {
		t.Fatalf("mappers: %v", mappers)
	}
	for i, want := range []struct{ check, ways string }{{"a", "present"}, {"c", "absent, not a"}} {
		and := mappers[i].GetFilter().GetAndFilter().GetFilters()
		if mark := and[0].GetHeaderFilter().GetHeader(); mark.GetName() != fleet.CheckHeader || mark.GetStringMatch().GetExact() != want.check {
			t.Errorf("mapper %d is of %v", i, mark)
		}
		var ways []string
		for _, f := range append(and[1].GetOrFilter().GetFilters(), and[1]) {
			switch m := f.GetHeaderFilter().GetHeader(); {
			case m == nil:
			case m.GetInvertMatch():
				ways = append(ways, "not "+m.GetStringMatch().GetExact())
			case m.GetPresentMatch():
				ways = append(ways, "present")
			default:
				ways = append(ways, "absent")
			}
		}
		if got := strings.Join(ways, ", "); got != want.ways {
			t.Errorf("mapper %d is for a header that is %s, want %s", i, got, want.ways)
		}
		if err := mappers[i].Validate(); err != nil {
			t.Errorf("Envoy does not take mapper %d: %v", i, err)
		}
	}
	none := &hcmv3.HttpConnectionManager{}
	(&Snapshot{}).sees(none, []string{"gate"})
	if none.GetLocalReplyConfig() != nil {
		t.Error("without such a check there are mappers")
	}
}

// It answers as a check says where that is more than a status, and reads bodies to their end.
func TestShadowAnswers(t *testing.T) {
	body := fleet.Octets(strings.Repeat("a", 5000))
	c := seen("a")
	c.Service, c.Upstream, c.Body, c.Method = fleet.Answer{Body: &body, Headers: []fleet.Header{{Name: "x", Value: "5%"}, {Name: "x", Value: "b"}}}, 201, "12345", "POST"
	s := &Snapshot{Meta: Meta{Checks: []Check{c, seen("b")}}}
	routes := s.answers()
	if err := routes.Validate(); err != nil {
		t.Fatal(err)
	}
	first := routes.GetVirtualHosts()[0].GetRoutes()[0]
	if len(routes.GetVirtualHosts()[0].GetRoutes()) != 3 || first.GetDirectResponse().GetStatus() != 201 || len(first.GetDirectResponse().GetBody().GetInlineBytes()) != 5000 ||
		first.GetResponseHeadersToAdd()[0].GetHeader().GetValue() != "5%%" || routes.GetMaxDirectResponseBodySizeBytes().GetValue() != 5000 {
		t.Errorf("routes: %v", routes)
	}
	hcm := &hcmv3.HttpConnectionManager{HttpFilters: []*hcmv3.HttpFilter{{Name: "gate"}, {Name: "router"}}}
	if err := s.awaits(hcm, []string{"gate"}); err != nil {
		t.Fatal(err)
	}
	if len(hcm.GetHttpFilters()) != 3 || hcm.GetHttpFilters()[1].GetName() != "waxwing.shadow/await" {
		t.Errorf("filters: %v", hcm.GetHttpFilters())
	}
	if err := s.awaits(hcm, []string{"other"}); err != nil || len(hcm.GetHttpFilters()) != 3 {
		t.Errorf("it reads to the end for nothing: %v, %v", hcm.GetHttpFilters(), err)
	}
}
