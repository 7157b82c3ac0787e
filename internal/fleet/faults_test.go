package fleet

import (
	"strings"
	"testing"
)

// What the YAML library refuses is said with its line, and what only looks like a second
// document is none.
func TestSyntaxErrorsHaveLines(t *testing.T) {
	const ok = "fleet: a\nresources:\n  listeners:\n    - {name: l, address: {pipe: {path: a}}, api_listener: {}}\n"
	for text, want := range map[string]string{
		ok + "# caf\xe9\n":                    "f.yaml:5: incomplete UTF-8 octet sequence",
		ok + "a: \x07\n":                      "f.yaml:5: control characters are not allowed",
		"\x01" + ok:                           "f.yaml:1: control characters are not allowed",
		ok + "a:\n  *nope\n":                  "f.yaml:6: unknown anchor 'nope' referenced",
		"a: {b: [*nope-2, *nope]}\n" + ok:     "f.yaml:1: unknown anchor 'nope-2' referenced",
		ok + "\tb: c\n":                       "f.yaml:5: found ",
		ok + "---\n" + ok:                     "f.yaml:6: one file is one fleet: a second YAML document is in it",
		ok + "---\n\n---\n# more\nfleet: b\n": "f.yaml:9: one file is one fleet: a second YAML document is in it",
		ok + "---\n*nope\n":                   "f.yaml:6: unknown anchor 'nope' referenced",
		ok + "---\n":                          "",
		"%YAML 1.1\n---\n" + ok + "...\n---\n# nothing\n": "",
	} {
		_, err := Parse("f.yaml", []byte(text))
		if got := errorText(err); got != want && (want == "" || !strings.HasPrefix(got, want)) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
