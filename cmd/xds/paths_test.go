package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A list in the settings file is one of paths, also of such with commas in them.
func TestPathsOfTheSettingsFile(t *testing.T) {
	for text, want := range map[string][]string{
		"allow-path: [/srv/a, b]":            {"/srv/a", "b"},
		"allow-path:\n- /srv/a\n- 'b, or c'": {"/srv/a", "b, or c"},
		"allow-path: /srv/a, b":              {"/srv/a", "b"},
		"allow-path:":                        nil,
	} {
		file := filepath.Join(t.TempDir(), "xds.yaml")
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		flags := newFlags()
		if err := load(flags, file, func(string) string { return "" }); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := []string(*flags.Lookup("allow-path").Value.(*paths)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
