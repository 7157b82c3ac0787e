package preflight

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3" // which the fleet files name
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// filterOf reads a filter of a fleet file from a part of it: what it is asked.
func filterOf(t *testing.T, text string) fleet.Filter {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "body.txt"), []byte("of a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Its first line is the first of the file: the filter is a mapping that goes on there.
	file := strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
	f, err := fleet.Parse(filepath.Join(dir, "fleet.yaml"), fmt.Appendf(nil, `filters:
  - name: tested
    module: {file: a.wasm}
    listeners: [ingress]
    %s
fleet: edge
resources:
  listeners: %s
`, file, rig.Listener("ingress", "127.0.0.1:80", "\n                route_config: {}", "")))
	if err != nil {
		t.Fatal(err)
	}
	return f.Filters[0]
}

// linesBefore are the lines of that file before the part.
const linesBefore = 4

// Each filter of checks.txtar answers as its checks say, together and one by one; and each check
// that says otherwise is refused, with the reason and its line.
func TestChecks(t *testing.T) {
	modules := map[string]string{}
	for _, file := range texts(t, "checks.txtar") {
		name, kind := strings.TrimSuffix(file.Name, filepath.Ext(file.Name)), filepath.Ext(file.Name)
		text := string(file.Data)
		if kind == ".wat" {
			if other, ok := strings.CutPrefix(text, ";; as "); ok {
				name, _, _ := strings.Cut(other, ".wat")
				text = modules[name]
			}
			modules[name] = text
			continue
		}
		t.Run(name, func(t *testing.T) {
			p := plugin(t, modules[name])
			f := filterOf(t, text)
			p.Callouts, p.Checks = f.Callouts, nil
			lines := strings.Split(text, "\n")
			for _, c := range f.Checks {
				_, want, refused := strings.Cut(lines[c.Line-linesBefore-1], "# want: ")
				if !refused {
					p.Checks = append(p.Checks, c)
					continue
				}
				alone := p
				alone.Checks = []fleet.Check{c}
				_, err := New(patient, lookup).Try(t.Context(), alone)
				if e := (*Error)(nil); !errors.As(err, &e) || e.Line != c.Line || !strings.Contains(e.Error(), want) || strings.Contains(e.Error(), "secret7") {
					t.Errorf("line %d: %v, want %q", c.Line-linesBefore, err, want)
				}
			}
			if len(p.Checks) > 0 {
				if _, err := New(patient, lookup).Try(t.Context(), p); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
