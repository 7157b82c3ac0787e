package preflight

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// Envoy sends a body that a filter has lengthened or shortened with the content-length that the filter
// has left: over HTTP/1 the one ends there, and the other never does.
func TestEnvoyLengths(t *testing.T) {
	path, err := envoy.Find(t.Context(), "../../.tools", func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	var listeners []listener
	dir := t.TempDir()
	for _, file := range texts(t, "checks.txtar") {
		if name, is := strings.CutSuffix(file.Name, ".wat"); is && (name == "longer" || name == "shorter" || name == "removes") {
			listeners = append(listeners, listenerOf(t, dir, name, plugin(t, string(file.Data))))
		}
	}
	ports := runEnvoy(t, path, dir, listeners)
	for name, want := range map[string]string{"longer": "service", "shorter": "ab, and no end", "removes": "servicemore"} {
		if got := bodyIn(t, ports[name]); got != want {
			t.Errorf("%s: %q where %q is expected", name, got, want)
		}
	}
}

// bodyIn is the body of an answer, whose connection Envoy closes after it.
func bodyIn(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return string(body) + ", and no end"
	case err != nil:
		t.Fatal(err)
	}
	return string(body)
}
