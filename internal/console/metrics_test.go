package console

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/quota"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// scrape asks for the metrics, and returns the status and our own of them.
func scrape(t *testing.T, stats xds.Stats, status api.Status) (int, []string) {
	t.Helper()
	h := Health(slog.New(slog.DiscardHandler), &standIn{status: status}, func() xds.Stats { return stats })
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	lines := slices.DeleteFunc(strings.Split(w.Body.String(), "\n"), func(line string) bool { return !strings.HasPrefix(line, "waxwing_") })
	return w.Code, lines
}

const allMetrics = `
waxwing_answers_total{verdict="accepted"} 13
waxwing_answers_total{verdict="rejected"} 14
waxwing_client_bytes{what="kept"} 25
waxwing_client_bytes{what="unread"} 26
waxwing_degraded{fleet="edge"} 1
waxwing_events_waiting 7
waxwing_identity_refused_total{reason="expired"} 22
waxwing_identity_refused_total{reason="untrusted"} 0
waxwing_insecure_plaintext 1
waxwing_limit{limit="max-client-bytes"} 0
waxwing_limit{limit="max-client-requests"} 0
waxwing_limit{limit="max-client-streams"} 0
waxwing_limit{limit="max-kept-bytes"} 0
waxwing_limit{limit="max-names"} 0
waxwing_limit{limit="max-request-bytes"} 2
waxwing_limit{limit="max-streams"} 1
waxwing_limit{limit="max-unmatched"} 3
waxwing_limit{limit="push-budget-bytes"} 4
waxwing_listeners_kept_total 21
waxwing_problem{fleet="edge"} 1
waxwing_proxies{fleet="edge",state="pushing"} 1
waxwing_proxies{fleet="edge",state="refuses"} 0
waxwing_proxies{fleet="edge",state="serving"} 2
waxwing_proxies{fleet="edge",state="waiting"} 0
waxwing_push_in_flight_bytes 8
waxwing_push_timeouts_total 10
waxwing_pushed_bytes_total 12
waxwing_pushes_total 11
waxwing_pushes_waiting 9
waxwing_refused_total{limit="max-request-bytes"} 16
waxwing_refused_total{limit="max-streams"} 15
waxwing_refused_total{limit="max-unmatched"} 17
waxwing_rejected_revisions{fleet="edge"} 20
waxwing_revision{fleet="edge",role="candidate"} 19
waxwing_revision{fleet="edge",role="serving"} 18
waxwing_streams 5
waxwing_tls_expiry_timestamp_seconds{use="client-ca"} 23
waxwing_tls_expiry_timestamp_seconds{use="server"} 24
waxwing_tls_unused{use="client-ca"} 0
waxwing_tls_unused{use="server"} 1
waxwing_unmatched_proxies 6
waxwing_unsaved{fleet="edge"} 1
waxwing_waiting_seconds{fleet="edge",kind="baking"} 21`

func TestMetrics(t *testing.T) {
	code, got := scrape(t, xds.Stats{
		Limits:  xds.Limits{MaxStreams: 1, MaxRequestBytes: 2, MaxUnmatched: 3, PushBudget: 4},
		Streams: 5, Unmatched: 6, Events: 7, PushBytesInFlight: 8, PushesWaiting: 9, PushTimeouts: 10,
		Pushes: 11, PushedBytes: 12, Accepted: 13, Rejected: 14, Clients: quota.Figures{Kept: 25, Unread: 26, Refused: map[string]int64{"max-streams": 15}}, RefusedRequests: 16, RefusedUnmatched: 17, RefusedRemovals: 21,
	}, api.Status{
		Fleets: []api.Fleet{{
			Fleet: "edge", Serving: api.Revision{ID: "a", Number: 18}, Candidate: api.Revision{ID: "b", Number: 19},
			Rejected: make([]api.Rejection, 20), Problem: "no", Unsaved: "full", Degraded: &api.Degraded{},
			WaitsFor: &api.Wait{Kind: api.WaitBaking, Since: time.Now().Add(-21 * time.Second)},
		}},
		Proxies: []api.Proxy{
			{Fleet: "edge", State: api.ProxyServing}, {Fleet: "edge", State: api.ProxyServing},
			{Fleet: "edge", State: api.ProxyPushing}, {Fleet: "", State: api.ProxyWaiting},
		},
		Port: &api.Port{
			Security: api.SecurityInsecure, Refused: map[string]int64{"expired": 22, "untrusted": 0},
			Certificates: []api.Certificate{
				{Use: "client-ca", NotAfter: time.Unix(23, 0)}, {Use: "server", NotAfter: time.Unix(24, 0), Problem: "no"},
				{Use: "client-ca", NotAfter: time.Unix(25, 0)},
			},
		},
	})
	if code != http.StatusOK || !slices.Equal(got, strings.Split(strings.TrimSpace(allMetrics), "\n")) {
		t.Errorf("%d:\n%s", code, strings.Join(got, "\n"))
	}
}

// Who was turned away from the admin API is counted; tokens and certificates that can't be used, and when
// those that are expire, are told.
func TestAdminMetrics(t *testing.T) {
	_, lines := scrape(t, xds.Stats{}, api.Status{Admin: &api.Admin{
		Refused: map[string]int64{"host": 3, "role": 1}, Tokens: &api.TokensFile{Problem: "no"},
		Certificates: []api.Certificate{
			{Use: "server", NotAfter: time.Unix(23, 0), Problem: "no"}, {Use: "client-ca", NotAfter: time.Unix(24, 0)}, {Use: "client-ca", NotAfter: time.Unix(25, 0)},
		},
	}})
	for _, want := range []string{
		`waxwing_admin_tls_expiry_timestamp_seconds{use="server"} 23`, `waxwing_admin_tls_expiry_timestamp_seconds{use="client-ca"} 24`,
		`waxwing_admin_tls_unused{use="server"} 1`, `waxwing_admin_tls_unused{use="client-ca"} 0`,
		`waxwing_admin_refused_total{reason="host"} 3`, `waxwing_admin_refused_total{reason="role"} 1`, `waxwing_admin_tokens_unused 1`} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %s in %q", want, lines)
		}
	}
}
