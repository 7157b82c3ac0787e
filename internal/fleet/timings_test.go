package fleet

import (
	"strings"
	"testing"
)

// Times that can be kept together are taken, also those that only look alike.
func TestTimingsThatCanBeKept(t *testing.T) {
	with := "filters: [{name: a, module: {file: a.wasm}, listeners: [ingress], checks: [{request: {}, expect: {status: 200}}]}]\n"
	for _, c := range []struct{ filters, rollout string }{
		{with, "{prove: 1s, stages: [{name: all, percent: 100, deadline: 1001ms}]}"},
		{with, "{prove: 1h, stages: [{name: all, percent: 100, deadline: 0s}]}"},
		{with, "{prove: 0s, stages: [{name: all, percent: 100, deadline: 1ms, bake: 1h}]}"},
		{strings.Replace(with, "listeners:", "shadow: false, listeners:", 1), "{stages: [{name: all, percent: 100, deadline: 500ms}]}"},
		{"", "{stages: [{name: all, percent: 100, deadline: 500ms}]}"}, // nothing is proven
		{"", "{prove: 10m}"},
		{"", "{watch: 0s, on_evidence: report}"},
		{"", "{watch: 0s}"},
		{"", "{watch: 1s, on_evidence: undo}"},
	} {
		if _, err := Parse("fleet.yaml", []byte("fleet: edge\n"+c.filters+"rollout: "+c.rollout+"\nresources: {listeners: [{name: ingress, address: {pipe: {path: a}}}]}\n")); err != nil &&
			strings.Contains(err.Error(), "rollout") {
			t.Errorf("%s: %v", c.rollout, err)
		}
	}
}
