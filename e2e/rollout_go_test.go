package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// brokenPrimeauth is the real filter with one line of its source changed.
func brokenPrimeauth(t *testing.T, file, line, with string) []byte {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("..", "wasm", "primeauth", "go", file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(read(t, source))
	if strings.Count(text, line) != 1 {
		t.Fatalf("%s has not one line %q", file, line)
	}
	dir := t.TempDir()
	changed, overlay, out := filepath.Join(dir, file), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "broken.wasm")
	write(t, changed, []byte(strings.Replace(text, line, with, 1)))
	// https://pkg.go.dev/cmd/go: -overlay
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, overlay, replace)
	err = command([]string{"GOOS=wasip1", "GOARCH=wasm"}, "go", "build", "-buildmode=c-shared", "-overlay", overlay,
		"-ldflags=-s -w", "-o", out, "../wasm/primeauth/go")
	if err != nil {
		t.Fatal(err)
	}
	return read(t, out)
}

// Faults of a Go module, which an Envoy compiles for seconds, are found as those of
// the small ones are.
func TestBrokenGoFilterStopsInTheShadow(t *testing.T) {
	w := newWorld(t)
	w.NoPreflight = true
	write(t, w.fleet, w.fleetYAML(fleetOptions{
		Rollout: prompt, Config: `{header: token, response_header: x-build}`,
		Checks: strings.ReplaceAll(checks, "432323", "323232"), // primeauth lets the former pass: it is prime
	}))
	write(t, w.module, primeauth(t, "A"))
	w.startServer()
	proxies := w.proxies(2)
	good := w.servingRevision(len(proxies))
	users := newCrowd(proxies)
	for i, f := range []struct{ name, file, line, with, want string }{
		{"panics", "main.go", "	v := r.verdict()\n", "	v := r.verdict()\n	panic(\"broken\")\n", "gate #1"},
		{"allows all", "decide.go", "	if !isPrime(n) {\n", "	if !isPrime(n) && false {\n", "gate #2"},
	} {
		t.Run(f.name, func(t *testing.T) {
			module := brokenPrimeauth(t, f.file, f.line, f.with)
			saved := time.Now()
			save(t, w.module, module)
			r := w.rejection(i)
			t.Logf("rejected %d ms after the save: %s", r.At.Sub(saved).Milliseconds(), r.Reason)
			if !strings.Contains(r.Reason, "in its shadow listener") || !strings.Contains(r.Reason, f.want) {
				t.Errorf("it was rejected because %s", r.Reason)
			}
			for _, p := range proxies {
				p.serves(good)
			}
		})
	}
	users.end(t, "")
}
