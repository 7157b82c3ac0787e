package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxwing-xds/waxwing/internal/access"
	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// standIn is a loop that knows what it is told to, or fails. It notes what it is asked.
type standIn struct {
	err     error
	asked   string
	status  api.Status
	page    api.ProxyPage
	records chan api.Event
}

func (l *standIn) ask(format string, a ...any) error {
	l.asked = fmt.Sprintf(format, a...)
	return l.err
}

func (l *standIn) Status(_ context.Context, proxies int) (api.Status, error) {
	return l.status, l.ask("status %d", proxies)
}

func (l *standIn) Proxies(_ context.Context, pick api.ProxyQuery) (api.ProxyPage, error) {
	return l.page, l.ask("proxies %+v", pick)
}

func (l *standIn) History(_ context.Context, fleet string) ([]api.Entry, error) {
	return []api.Entry{{Kind: api.EventStarted, Reason: "saved"}}, l.ask("history %s", fleet)
}

func (l *standIn) Diff(_ context.Context, fleet string) (api.Difference, error) {
	return api.Difference{Changes: []api.Change{{Type: "Listener", Name: "in"}}}, l.ask("diff %s", fleet)
}

func (l *standIn) Preview(_ context.Context, claims []api.Claim) ([]api.Move, error) {
	return []api.Move{}, l.ask("moves %+v", claims)
}

func (l *standIn) Do(_ context.Context, command api.Command) error {
	return l.ask("do %+v", command)
}

func (l *standIn) Subscribe(after string) (<-chan api.Event, func(), error) {
	err := l.ask("events %s", after)
	return l.records, func() { l.asked += ", stopped" }, err
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func noStats() xds.Stats { return xds.Stats{} }

// served is the API for who may operate.
func served(loop Loop) http.Handler { return servedTo(loop, api.RoleOperate) }

func servedTo(loop Loop, role api.Role) http.Handler {
	h := Handler(discard(), loop, noStats)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Caller{Name: "ci", How: api.AuthToken, Role: role})))
	})
}

// ask asks, with a body if there is one, which is JSON.
func ask(t *testing.T, loop Loop, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	return askOf(t, served(loop), method, path, body)
}

func askOf(t *testing.T, h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wantError looks for the one shape of errors.
func wantError(t *testing.T, w *httptest.ResponseRecorder, code api.Code, detail string) {
	t.Helper()
	var e api.Error
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Fatalf("%d, %v: %s", w.Code, err, w.Body)
	}
	if want := api.NewError(code, e.Detail); e != *want || w.Code != want.Status || w.Header().Get("Content-Type") != api.ErrorType {
		t.Errorf("%d %s %+v, want code %s", w.Code, w.Header().Get("Content-Type"), e, code)
	}
	if !strings.Contains(e.Detail, detail) {
		t.Errorf("%q does not say %q", e.Detail, detail)
	}
}

// questions are one of each, what the loop is asked for it, and the answer.
var questions = []struct{ method, path, body, asks, answer string }{
	{"GET", "/v1/status", "", "status 2000", `"fleets":[{"fleet":"edge"`},
	{"GET", "/v1/status?limit=0", "", "status 0", `"problems":{"b.yaml":"no"}`},
	{"GET", "/v1/status?limit=2000", "", "status 2000", `"proxies":[{"node":"a"`},
	{"GET", "/v1/proxies", "", "proxies {Fleet: After: Limit:500}", `{"proxies":[{"node":"b","fleet":"edge"`},
	{"GET", "/v1/proxies?fleet=edge&after=a%2Fb&limit=7", "", "proxies {Fleet:edge After:a/b Limit:7}", `"next":"b"`},
	{"GET", "/v1/history?fleet=edge", "", "history edge", `[{"at":"0001-01-01T00:00:00Z","kind":"started","revision":{"id":""},"reason":"saved"}]`},
	{"GET", "/v1/diff", "", "diff ", `"changes":[{"type":"Listener","name":"in","kind":""}],"moves":null`},
	{
		"POST", "/v1/moves", `[{"fleet":"a","file":"f","match":{"id":"x*","locality":{"zone":"z"}}}]`,
		fmt.Sprintf("moves %+v", []api.Claim{{Fleet: "a", File: "f", Match: api.Match{ID: "x*", Locality: api.Locality{Zone: "z"}}}}), "[]\n",
	},
	{
		"POST", "/v1/commands", `{"fleet":"a","verb":"undo","by":"me","why":"so","id":"i","skip_empty":true,"answers_meant":true,"to":3}`,
		"do {Fleet:a Verb:undo By:me Why:so ID:i SkipEmpty:true AnswersMeant:true To:3}", "",
	},
	{"GET", "/healthz?probe=1", "", "", ""},
	{"GET", "/readyz", "", "status 0", ""},
	{"GET", "/metrics", "", "status 2000", `waxwing_revision{fleet="edge",role="serving"} 2`},
	{"HEAD", "/v1/events?after=x-1", "", "events x-1, stopped", ""},
}

func TestEachQuestion(t *testing.T) {
	for _, q := range questions {
		loop := &standIn{
			status: api.Status{
				Fleets:  []api.Fleet{{Fleet: "edge", Serving: api.Revision{ID: "x", Number: 2}}},
				Proxies: []api.Proxy{{Node: "a"}}, Problems: map[string]string{"b.yaml": "no"},
			},
			page: api.ProxyPage{Proxies: []api.Proxy{{Node: "b", Fleet: "edge"}}, Next: "b"},
		}
		w := ask(t, loop, q.method, q.path, q.body)
		want := http.StatusOK
		if q.path == api.PathCommands {
			want = http.StatusNoContent
		}
		if w.Code != want || loop.asked != q.asks || !strings.Contains(w.Body.String(), q.answer) || q.answer == "" && w.Body.Len() > 0 {
			t.Errorf("%s %s: %d, asked %q: %s", q.method, q.path, w.Code, loop.asked, w.Body)
		}
	}
}

// Where there are more proxies than a page has, the status and the metrics have them all,
// and the loop is asked for a page at a time.
func TestMoreThanAPage(t *testing.T) {
	loop := &standIn{
		status: api.Status{Proxies: []api.Proxy{{Node: "a", Fleet: "edge"}}, Next: "a", Fleets: []api.Fleet{{Fleet: "edge"}}},
		page:   api.ProxyPage{Proxies: []api.Proxy{{Node: "b", Fleet: "edge", State: api.ProxyServing}}},
	}
	w := ask(t, loop, http.MethodGet, api.PathStatus, "")
	var s api.Status
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || len(s.Proxies) != 2 || s.Proxies[1].Node != "b" || s.Next != "" {
		t.Errorf("%+v, %v", s, err)
	}
	if loop.asked != "proxies {Fleet: After:a Limit:2000}" {
		t.Errorf("asked %s", loop.asked)
	}
	if w := ask(t, loop, http.MethodGet, api.PathMetrics, ""); !strings.Contains(w.Body.String(), `waxwing_proxies{fleet="edge",state="serving"} 1`) {
		t.Errorf("the metrics are without the second page:\n%s", w.Body)
	}
	if w := ask(t, loop, http.MethodGet, api.PathStatus+"?limit=1", ""); !strings.Contains(w.Body.String(), `"next":"a"`) {
		t.Errorf("a status that is cut does not say so: %s", w.Body)
	}
}

// A loop that does not answer is said, whatever was asked.
func TestLoopGone(t *testing.T) {
	for _, q := range questions {
		if q.path == "/healthz?probe=1" {
			continue // the process is there
		}
		w := ask(t, &standIn{err: control.ErrEnded}, q.method, q.path, q.body)
		wantError(t, w, api.CodeUnavailable, "the server is ending")
	}
}

// A loop that is busy is not waited for without end, and who asks hears of it before their
// client gives up.
func TestLoopBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := ask(t, &busy{}, http.MethodGet, api.PathReady, "")
		wantError(t, w, api.CodeUnavailable, context.DeadlineExceeded.Error())
		if took := time.Since(began); took >= api.DefaultTimeout {
			t.Errorf("it took %s", took)
		}
	})
}

// busy is a loop that takes no question.
type busy struct{ standIn }

func (*busy) Status(ctx context.Context, _ int) (api.Status, error) {
	<-ctx.Done()
	return api.Status{}, ctx.Err()
}

// What can't be carried out, or is of a fleet that is not, is told from what goes wrong.
func TestRefusals(t *testing.T) {
	for _, q := range questions {
		if !strings.HasPrefix(q.path, "/v1/") || q.method == http.MethodHead {
			continue
		}
		wantError(t, ask(t, &standIn{err: fmt.Errorf("%w: it is paused", control.ErrRefused)}, q.method, q.path, q.body), api.CodeRefused, "refused: it is paused")
		wantError(t, ask(t, &standIn{err: fmt.Errorf("asking: %w", &control.NoFleetError{Name: "x"})}, q.method, q.path, q.body), api.CodeNotFound, `there is no fleet "x"`)
	}
	wantError(t, ask(t, &standIn{}, http.MethodGet, "/readyz", ""), api.CodeUnavailable, "no revision to serve yet")
}

// What can't be read is refused, and does not reach the loop.
func TestBadQuestions(t *testing.T) {
	for _, q := range []struct {
		method, path, body string
		code               api.Code
		detail             string
	}{
		{"GET", "/v1/status?limit=-1", "", api.CodeInvalid, `limit: "-1" is not a number from 0 to 2000`},
		{"GET", "/v1/status?limit=2001", "", api.CodeInvalid, "from 0 to 2000"},
		{"GET", "/v1/proxies?limit=0", "", api.CodeInvalid, "from 1 to 2000"},
		{"GET", "/v1/proxies?limit=", "", api.CodeInvalid, "from 1 to 2000"},
		{"GET", "/v1/proxies?flet=edge", "", api.CodeInvalid, `no parameter "flet"`},
		{"GET", "/v1/events?fleet=edge", "", api.CodeInvalid, `no parameter "fleet"`},
		{"GET", "/v1/nothing", "", api.CodeNotFound, "there is no /v1/nothing"},
		{"GET", "/", "", api.CodeNotFound, "there is no /"},
		{"POST", "/v1/commands", `{"verb":`, api.CodeInvalid, "not a command: unexpected EOF"},
		{"POST", "/v1/commands", `{"verb":"pause","flet":"a"}`, api.CodeInvalid, `unknown field "flet"`},
		{"POST", "/v1/commands", `{"why":"` + strings.Repeat("x", maxCommand) + `"}`, api.CodeTooLarge, "no larger than 65536 bytes"},
		{"POST", "/v1/commands", "", api.CodeNotJSON, "Content-Type: application/json"},
		{"POST", "/v1/moves", `{}`, api.CodeInvalid, "not a list of claims"},
		{"POST", "/v1/moves", `[{"file":"` + strings.Repeat("x", maxClaims) + `"}]`, api.CodeTooLarge, "no larger than"},
	} {
		loop := &standIn{}
		wantError(t, ask(t, loop, q.method, q.path, q.body), q.code, q.detail)
		if loop.asked != "" {
			t.Errorf("%s %s asks the loop for %s", q.method, q.path, loop.asked)
		}
	}
}

// A question that is asked in another way is told how.
func TestMethods(t *testing.T) {
	for _, q := range questions {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
			get := q.method != http.MethodPost
			if method == q.method || get && (method == "GET" || method == "HEAD") {
				continue
			}
			loop := &standIn{}
			w := ask(t, loop, method, q.path, q.body)
			wantError(t, w, api.CodeMethodNotAllowed, "is asked by ")
			if want := map[bool]string{true: "GET, HEAD", false: "POST"}[get]; w.Header().Get("Allow") != want || loop.asked != "" {
				t.Errorf("%s %s: allowed is %q, asked %q", method, q.path, w.Header().Get("Allow"), loop.asked)
			}
		}
	}
}

// Who asks may go before the answer is written: that is no error of the server's.
func TestAskerGone(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, api.PathStatus, nil)
	w := &gone{ResponseRecorder: httptest.NewRecorder()}
	served(&standIn{}).ServeHTTP(w, r)
	if !w.tried {
		t.Error("nothing was written")
	}
}

// gone is a connection that takes no more.
type gone struct {
	*httptest.ResponseRecorder
	tried bool
}

func (w *gone) Write([]byte) (int, error) {
	w.tried = true
	return 0, errors.New("broken pipe")
}
