package console

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// Each endpoint has a role, and lets nobody through without it; of one that changes something
// that is operate.
func TestRoles(t *testing.T) {
	changes := []string{api.PathCommands}
	for _, q := range questions {
		path, _, _ := strings.Cut(q.path, "?")
		for _, role := range []api.Role{"", "other", api.RoleView, api.RoleOperate} {
			loop := &standIn{status: api.Status{Fleets: []api.Fleet{{Serving: api.Revision{ID: "x"}}}}}
			w := askOf(t, servedTo(loop, role), q.method, q.path, q.body)
			may := role == api.RoleOperate || role == api.RoleView && !slices.Contains(changes, path)
			if may && w.Code >= http.StatusBadRequest || !may && loop.asked != "" {
				t.Errorf("%s by %q: %d, asked %q", q.path, role, w.Code, loop.asked)
			}
			if !may && q.method != http.MethodHead {
				wantError(t, w, api.CodeForbidden, path+" is for the role ")
			}
		}
	}
	for _, e := range slices.Concat(endpoints, health) {
		if !slices.Contains(api.Roles, e.role) || (e.role == api.RoleOperate) != slices.Contains(changes, e.path) {
			t.Errorf("%s is for %q", e.path, e.role)
		}
		if !slices.ContainsFunc(questions, func(q struct{ method, path, body, asks, answer string }) bool {
			path, _, _ := strings.Cut(q.path, "?")
			return path == e.path
		}) {
			t.Errorf("%s is asked by no test", e.path)
		}
	}
	wantError(t, askOf(t, servedTo(&standIn{}, api.RoleView), http.MethodPost, api.PathCommands, "{}"), api.CodeForbidden, "/v1/commands is for the role operate, and token ci has the role view")
}
