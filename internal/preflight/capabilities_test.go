package preflight

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// The capabilities that a fleet file may name are the functions that the sandbox knows, as Envoy does.
func TestCapabilities(t *testing.T) {
	known := map[string]bool{}
	for _, functions := range hostModules {
		for name := range functions {
			known[name] = true
		}
	}
	for _, functions := range append(slices.Collect(maps.Values(moduleFunctionsOf)), moduleFunctions) {
		for name := range functions {
			if strings.HasPrefix(name, "proxy_") {
				known[name] = true
			}
		}
	}
	// Those are offered, and asked for, whatever is allowed.
	for _, name := range []string{"pthread_equal", "emscripten_notify_memory_growth", "proxy_on_memory_allocate"} {
		delete(known, name)
	}
	if got, want := slices.Sorted(slices.Values(fleet.Capabilities)), slices.Sorted(maps.Keys(known)); !slices.Equal(got, want) {
		t.Errorf("fleet files may name\n%v\nand the sandbox has\n%v", got, want)
	}
}
