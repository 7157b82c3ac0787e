package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/access"
	"github.com/waxwing-xds/waxwing/internal/api"
)

// Whatever is asked, the answer is one of the API's, and a viewer has nothing changed.
func FuzzQuestions(f *testing.F) {
	for _, q := range questions {
		path, query, _ := strings.Cut(q.path, "?")
		f.Add(q.method, path, query, "application/json", []byte(q.body), true)
	}
	f.Add("POST", api.PathCommands, "", "text/plain", []byte(`{"verb":"undo"}`), false)
	f.Add("GET", api.PathStatus, "limit=-1&limit=2", "", []byte(nil), true)
	f.Fuzz(func(t *testing.T, method, path, query, kind string, body []byte, operator bool) {
		if method == "" || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) || path == api.PathMetrics {
			return // no server lets it through; and figures are slow
		}
		role := api.RoleView
		if operator {
			role = api.RoleOperate
		}
		loop := &standIn{records: make(chan api.Event)}
		close(loop.records)
		r := &http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"Content-Type": {kind}},
			Body: http.NoBody, Host: "localhost", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}
		r = r.WithContext(access.With(t.Context(), access.Caller{Role: role}))
		if len(body) > 0 {
			r.Body = httptest.NewRequest(method, "/", strings.NewReader(string(body))).Body
		}
		w := httptest.NewRecorder()
		Handler(discard(), loop, noStats).ServeHTTP(w, r)
		if strings.HasPrefix(loop.asked, "do ") && (!operator || method != http.MethodPost) {
			t.Errorf("%s %s has something done: %s", method, path, loop.asked)
		}
		if w.Code < http.StatusBadRequest {
			return
		}
		var e api.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Status != w.Code || w.Header().Get("Content-Type") != api.ErrorType || slices.Contains([]api.Code{""}, e.Code) {
			t.Errorf("%s %s?%s: %d %s (%v)", method, path, query, w.Code, w.Body, err)
		}
	})
}
