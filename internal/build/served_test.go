package build

import (
	"slices"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// What a fleet serves is what its next filters are compared with, by name; what one is no
// worse in is a warning at its line, and is asked again when it comes again.
func TestServedIsComparedWith(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		var served []string
		d.box.refuse = func(p preflight.Plugin) error {
			if p.Served == nil {
				served = append(served, "nothing")
				return nil
			}
			other, err := p.Served()
			if err != nil || other.Name != p.Name {
				t.Errorf("%s is compared with %s: %v", p.Name, other.Name, err)
			}
			served = append(served, string(other.Module.Bytes))
			return nil
		}
		d.save(map[string]string{"fleet.yaml": gatedYAML("a.wasm")})
		d.save(map[string]string{"a.wasm": "first"})
		_, built := d.says()
		d.Serving("fleet.yaml", built[0].Snapshot)
		d.box.report = preflight.Report{Warnings: []*preflight.Error{{Step: preflight.StepCheck, Line: 0, Reason: "it traps too"}}}
		d.save(map[string]string{"a.wasm": "second"})
		_, built = d.says()
		if len(built) != 1 || built[0].Err != nil || len(built[0].Warnings) != 1 {
			t.Fatalf("built is %+v", built)
		}
		d.Serving("fleet.yaml", built[0].Snapshot)
		d.Again("fleet.yaml", "ann")
		d.says()
		d.Serving("fleet.yaml", nil)
		d.Again("fleet.yaml", "ann")
		d.says()
		if want := []string{"nothing", "first", "second", "nothing"}; !slices.Equal(served, want) {
			t.Errorf("compared with %q, want %q", served, want)
		}
	})
}
