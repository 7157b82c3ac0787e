package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/chains"
)

// What the generator makes is what Envoy takes: a sample of its fleets, as bootstraps that
// discover nothing, passes `envoy --mode validate`.
func TestGeneratedFleetsAreValid(t *testing.T) {
	dir := t.TempDir()
	setting := chains.Example()
	keys, err := chains.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	modules, err := chains.Modules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	setting.Content = keys.Content
	for i, module := range modules {
		setting.Modules[i] = filepath.Join(dir, fmt.Sprintf("keys-%d.wasm", i))
		write(t, setting.Modules[i], module)
	}
	for seed := range uint64(30) {
		g := chains.NewGenerator(seed)
		g.Delta = true
		steps := g.NewChain(seed, 5).Steps
		f := steps[len(steps)-1].Fleet
		text, err := f.Static(setting)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		file := filepath.Join(dir, fmt.Sprintf("envoy-%d.yaml", seed))
		write(t, file, text)
		if out, err := exec.CommandContext(t.Context(), envoyPath, "--mode", "validate", "--config-path", file, "--log-level", "error", "--service-node", "edge-0", "--service-cluster", "edge").CombinedOutput(); err != nil {
			t.Errorf("seed %d: %v: %s\n%s", seed, err, out, f)
		}
	}
	t.Log("the last fleets of the chains of five changes of the seeds 0 to 29 are valid")
}
