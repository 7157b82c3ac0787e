package fleet

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestPreflight(t *testing.T) {
	for text, want := range map[string]Preflight{
		"{}":                                     {},
		"off":                                    {Off: true},
		"false":                                  {Off: true},
		"{start: 60s, call: 1s, memory: 512MiB}": {Start: time.Minute, Call: time.Second, Memory: 512 << 20},
		"{memory: 70000}":                        {Memory: 70000},
		"{call: 1h, memory: 4GiB}":               {Call: time.Hour, Memory: 4 << 30},
	} {
		if got, err := readPreflight(t, text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"on":               "fleet.yaml:1: preflight: is off, or limits",
		"[off]":            "preflight: is off, or limits",
		"{start: 60}":      `preflight: start is "60"`,
		"{call: 0s}":       "from 1ns to 1h0m0s",
		"{start: 61m}":     "from 1ns to 1h0m0s",
		"{memory: 1KiB}":   "from 64KiB to 4GiB",
		"{memory: 5GiB}":   "from 64KiB to 4GiB",
		"{memory: 512MB}":  "must be a size",
		"{memory: -1}":     "must be a size",
		"{memmory: 1MiB}":  `"memmory" is none of start, call and memory`,
		"{start: [1s]}":    `start is ""`,
		"{start: {a: 1s}}": `start is ""`,
	} {
		if _, err := readPreflight(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func readPreflight(t *testing.T, text string) (Preflight, error) {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	p := &parser{problems: problems{file: "fleet.yaml"}}
	got := p.preflight(n.Content[0])
	return got, p.err()
}
