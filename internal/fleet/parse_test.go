package fleet

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

func TestParseTheDemosFleet(t *testing.T) {
	f, err := Parse("some/where/fleet.yaml", []byte(golden.Read(t, "../../fleet.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "edge" || f.Match.Cluster != "edge" || len(f.Listeners) != 1 || len(f.Resources) != 2 {
		t.Errorf("read %+v", f)
	}
	filter := f.Filters[0]
	if filter.Module != "some/where/wasm/primeauth/primeauth.wasm" {
		t.Errorf("module %q is not resolved against the fleet file's folder", filter.Module)
	}
	if got := string(filter.Plugin.GetConfiguration().GetValue()); !strings.Contains(got, `{"denied_status":403,"header":"token"}`) {
		t.Errorf("configuration %q is not JSON with sorted keys", got)
	}
}

// Each file of errors.txtar is a fleet file with things wrong: where a line ends
// in "# want: TEXT" one error on that line says TEXT; "# want0: TEXT" anywhere is an
// error of the whole file. No other error is reported.
func TestParseErrors(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/errors.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archive.Files {
		t.Run(file.Name, func(t *testing.T) {
			var want []Error
			for i, line := range strings.Split(string(file.Data), "\n") {
				if _, text, ok := strings.Cut(line, "# want0: "); ok {
					want = append(want, Error{file.Name, 0, text})
				} else if _, text, ok := strings.Cut(line, "# want: "); ok {
					for _, one := range strings.Split(text, " && ") {
						want = append(want, Error{file.Name, i + 1, one})
					}
				}
			}
			_, err := Parse(file.Name, file.Data)
			var got Errors
			if err != nil && !errors.As(err, &got) {
				t.Fatalf("an error of another kind: %v", err)
			}
			if len(got) != len(want) || len(want) == 0 {
				t.Fatalf("%d errors, want %d:\n%v", len(got), len(want), err)
			}
			for i := range want {
				if got[i].Line != want[i].Line || !strings.Contains(got[i].Msg, want[i].Msg) {
					t.Errorf("got %v\nwant %v", got[i], want[i].Error())
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	good, err := os.ReadFile("../../fleet.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	archive, err := txtar.ParseFile("testdata/errors.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fleet, err := Parse("fleet.yaml", data)
		if err == nil {
			if fleet.Name == "" || len(fleet.Listeners) == 0 {
				t.Errorf("accepted without a name or a listener: %+v", fleet)
			}
			return
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
		var all Errors
		if !errors.As(err, &all) {
			t.Fatalf("an error of another kind: %v", err)
		}
		for _, e := range all {
			if e.Line < 0 || e.Line > lines || e.Msg == "" || e.File != "fleet.yaml" {
				t.Errorf("an error that points nowhere: %+v of %d lines", e, lines)
			}
		}
	})
}
