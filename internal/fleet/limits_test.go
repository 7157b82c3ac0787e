package fleet

import (
	"reflect"
	"strings"
	"testing"
)

// What counts as evidence, as a file says it.
func TestEvidence(t *testing.T) {
	const listeners = "\nresources: {listeners: [{name: ingress, address: {pipe: {path: a}}, filter_chains: [{}]}]}\n"
	for text, want := range map[string]struct {
		answers  float64
		evidence []StatLimit
	}{
		"{}":                                  {answers: 0.05},
		"{limits: {answers: off}}":            {},
		"{limits: {answers: \"off\"}}":        {},
		"{limits: {latency: off, length: 3}}": {answers: 0.05},
		"{limits: {answers: 0.01}}":           {answers: 0.01},
		"{evidence: [{stat: server.memory_allocated, max_increase: 20%}, {stat: wasmcustom.odd, max_increase: 0}]}": {
			answers: 0.05, evidence: []StatLimit{{"server.memory_allocated", 0.2, true}, {"wasmcustom.odd", 0, false}},
		},
	} {
		f, err := Parse("fleet.yaml", []byte("fleet: edge\nrollout: "+text+listeners))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if l := f.Rollout.Limits; (l.Latency == 0) != strings.Contains(text, "latency: off") || (l.Length == 3) != strings.Contains(text, "length: 3") {
			t.Errorf("%s: %+v", text, l)
		}
		if got := f.Rollout; got.Limits.Answers != want.answers || !reflect.DeepEqual(got.Evidence, want.evidence) {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
