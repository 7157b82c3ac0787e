package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the README says to edit: each file, and what is said of it.
var edit = regexp.MustCompile(`(?m)^    \$EDITOR (\S+) +# (.*)$`)

// Each line of the README that says to edit a file is done as it says, with the demo's own
// fleet file, and the proxy follows.
func TestREADMEEdits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unraced()
	edits := map[string]func(){
		`wasm/primeauth/go/config.go: say, another text than "Access forbidden."`: func() {
			w.makesFilter(t, "config.go", `"Access forbidden.\n"`, `"Not a prime.\n"`)
		},
		`fleet.yaml: say, add denied_body: "No.": nothing is compiled`: func() {
			write(t, w.fleet, replaced(t, read(t, w.fleet), `denied_status: 403}`, `denied_status: 403, denied_body: "No."}`))
		},
	}
	answers := []string{"Not a prime.\n", "No."}
	found := edit.FindAllStringSubmatch(string(read(t, "../README.md")), -1)
	if len(found) != len(edits) {
		t.Fatalf("the README says %d times to edit a file, and %d edits are known: %q", len(found), len(edits), slices.Collect(maps.Keys(edits)))
	}
	w.begins(w.demoFleet(), primeauth(t, "readme"))
	p := w.startProxy("edge-0")
	p.denies(forbidden)
	for i, line := range found {
		do := edits[line[1]+": "+line[2]]
		if do == nil {
			t.Fatalf("the README says to edit %s (%s), which no test does", line[1], line[2])
		}
		do()
		p.denies(answers[i])
	}
}

// demoFleet is the fleet file of the demo, with this world's module and service.
func (w *world) demoFleet() []byte {
	_, port := w.service()
	text := replaced(w.t, read(w.t, "../fleet.yaml"), "wasm/primeauth/primeauth.wasm", filepath.Base(w.module))
	return replaced(w.t, text, "port_value: 18080", fmt.Sprintf("port_value: %v", port))
}

// makesFilter runs `make filter` with a file of the filter edited.
func (w *world) makesFilter(t *testing.T, name, old, with string) {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("../wasm/primeauth/go", name))
	if err != nil {
		t.Fatal(err)
	}
	edited := filepath.Join(t.TempDir(), name)
	write(t, edited, replaced(t, read(t, source), old, with))
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: edited}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "overlay.json")
	write(t, list, overlay)
	if err := command([]string{"GOFLAGS=-overlay=" + list}, "make", "-C", "..", "filter", "WASM="+w.module); err != nil {
		t.Fatal(err)
	}
}

func replaced(t *testing.T, text []byte, old, with string) []byte {
	t.Helper()
	if strings.Count(string(text), old) != 1 {
		t.Fatalf("%q is not there once", old)
	}
	return []byte(strings.Replace(string(text), old, with, 1))
}

// denies waits until the proxy denies a wrong token with a body, and lets a right one in.
func (p *proxy) denies(body string) {
	p.w.t.Helper()
	p.w.eventually(fmt.Sprintf("%s denies with %q", p.Node, body), func() error {
		a, err := p.ask("token", "323232")
		if err == nil && (a.Status != 403 || a.Body != body) {
			err = fmt.Errorf("it answers %d, %q", a.Status, a.Body)
		}
		return err
	})
	p.wants(200, welcome, "token", "32323")
}
