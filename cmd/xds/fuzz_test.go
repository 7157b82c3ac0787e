package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// A file of settings is refused with the line at which it is wrong, or each of its settings is
// taken, and can be given as a flag with what it has become.
func FuzzSettings(f *testing.F) {
	shipped, err := os.ReadFile("../../xds.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	for name, values := range samples {
		f.Add([]byte(name + ": " + values[0] + "\n"))
	}
	for _, text := range []string{
		"", "# nothing", "a", "- a", "listen: [a]", "listen: a\nlisten: b", "max-streams: 1e3", "settle: 1", "identity: &a [*a]", "{", "listen: !!binary /w==",
		"identity:\n  - &a {dns: a, nodes: [b]}\n  - <<: *a\n", "verify: {keys: [{file: !!binary /w==}]}", "admin-roles: [{cn: '*', role: view}]", "? [a]\n: b", "<<: {listen: a}",
	} {
		f.Add([]byte(text))
	}
	where := regexp.MustCompile(`^[^\n]*xds\.yaml(:| line)[^\n]*`)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 8<<10 {
			return
		}
		path := filepath.Join(t.TempDir(), "xds.yaml")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		flags := newFlags()
		err := load(flags, path, func(string) string { return "" })
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if err != nil {
			if !where.MatchString(err.Error()) {
				t.Errorf("an error that does not say where: %q", err)
			}
			return
		}
		if s := readBack(flags); s != "" {
			t.Error(s)
		}
	})
}

// readBack gives each setting as a flag what it has become.
func readBack(flags *pflag.FlagSet) (wrong string) {
	again := newFlags()
	flags.VisitAll(func(f *pflag.Flag) {
		text := f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			text = strings.Join(list.GetSlice(), ",")
		}
		if text == f.DefValue {
			return
		}
		if err := again.Set(f.Name, text); err != nil {
			wrong = f.Name + " has become " + text + ", which can't be given: " + err.Error()
		} else if got := again.Lookup(f.Name).Value.String(); got != f.Value.String() {
			wrong = f.Name + " is " + f.Value.String() + ", and given as a flag " + got
		}
	})
	return wrong
}
