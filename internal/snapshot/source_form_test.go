package snapshot

import (
	"strings"
	"testing"
)

// In whichever form a fleet file says that something comes from this server, proxies are given the
// same: another form would be another subscription to them.
func TestSourcesHaveOneForm(t *testing.T) {
	const file, usual = "testdata/everything.yaml", "{ads: {}, resource_api_version: V3}"
	want := render(t, build(t, file, nil))
	for _, form := range []string{
		"{ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}",
		"{resource_api_version: V3, ads: {}, initial_fetch_timeout: 3s}",
		"{self: {transport_api_version: V3}, resource_api_version: V3}",
		"{self: {}, initial_fetch_timeout: 0.5s}",
	} {
		for only := range 4 { // one of them, the others as they are
			got := render(t, build(t, file, func(text string) string {
				parts := strings.Split(text, usual)
				if len(parts) != 5 {
					t.Fatalf("%s has %d sources", file, len(parts)-1)
				}
				return strings.Join(parts[:only+1], usual) + form + strings.Join(parts[only+1:], usual)
			}))
			if got != want {
				t.Errorf("with the source %d as %s:\n%s", only, form, got)
			}
		}
	}
}

// A source that is none of this server's stays as it is written.
func TestOtherSourcesStay(t *testing.T) {
	got := render(t, build(t, "testdata/everything.yaml", func(text string) string {
		return strings.Replace(text, "sds_config: {ads: {}, resource_api_version: V3}", "sds_config: {path_config_source: {path: /certs/sds.yaml}, resource_api_version: V3, initial_fetch_timeout: 3s}", 1)
	}))
	if !strings.Contains(got, `"initial_fetch_timeout": "3s"`) || !strings.Contains(got, "/certs/sds.yaml") {
		t.Errorf("the certificate's file is gone, or for how long it is waited for:\n%s", got)
	}
}

// A secret of the file that is named without a source, as a bootstrap names its own, is this server's.
func TestSecretWithoutASource(t *testing.T) {
	const file = "testdata/everything.yaml"
	got := render(t, build(t, file, func(text string) string {
		return strings.Replace(text, "{name: cert, sds_config: {ads: {}, resource_api_version: V3}}", "{name: cert}", 1)
	}))
	if want := render(t, build(t, file, nil)); got != want {
		t.Errorf("proxies are given\n%s", got)
	}
}
