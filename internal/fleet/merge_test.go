package fleet

import (
	"fmt"
	"strings"
	"testing"
)

// mergeBomb are mappings of which each merges the one before eight times over: read
// without a memory, the sixtieth takes longer than there is time.
func mergeBomb() string {
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, "    m%d: &m%d {k%d: 0", i, i, i)
		if i > 0 {
			fmt.Fprintf(&b, ", <<: [%s]", strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*m%d, ", i-1), 8), ", "))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// many are mappings that all merge a large one.
func many() string {
	var b strings.Builder
	b.WriteString("    m: &m {")
	for i := range 2000 {
		fmt.Fprintf(&b, "k%d: 0, ", i)
	}
	b.WriteString("}\n")
	for i := range 200 {
		fmt.Fprintf(&b, "    m%d: {<<: *m}\n", i)
	}
	return b.String()
}

// Mappings that merge one another are read once each, wherever they stand, and no more
// of them than there is memory for.
func TestMergeKeysAreBounded(t *testing.T) {
	const listener = "resources:\n  listeners:\n    - {name: a, address: {pipe: {path: a}}, api_listener: {}}\n"
	for name, c := range map[string]struct{ text, want string }{
		"ignored":     {"fleet: edge\n!ignore x:\n" + mergeBomb() + listener, ""},
		"in a filter": {"fleet: edge\nfilters:\n- name: a\n  module: {file: a}\n  config:\n" + mergeBomb() + listener, "is in no listener"},
		"in Envoy's":  {"fleet: edge\nresources:\n  listeners:\n  - name: a\n    metadata:\n" + mergeBomb(), `unknown field "m59"`},
		"in ours":     {"fleet: edge\nmatch:\n  labels:\n" + mergeBomb() + listener, "does not belong here"},
		"itself":      {"fleet: edge\nresources:\n  listeners:\n  - &a {<<: *a, name: 5}\n", "invalid value for string field name"},
		"many":        {"fleet: edge\nresources:\n  listeners:\n  - name: a\n    metadata:\n" + many(), tooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("fleet.yaml", []byte(c.text))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("want %q, got %.300v", c.want, err)
			}
		})
	}
}
