package console

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/api/apitest"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// What the loop says of anything is on the wire, all of it, and under the names that
// scripts know. A field that is added to the loop's types, and not to the wire's, is found
// here: add it to internal/api, under the same name, and to the mapping in wire.go.
func TestNothingIsForgotten(t *testing.T) {
	wire(t, "status", statusOf)
	wire(t, "proxies", func(p control.Page) api.ProxyPage {
		return api.ProxyPage{Proxies: list(p.Proxies, proxyOf), Next: p.Next}
	})
	wire(t, "event", eventOf)
	wire(t, "history", func(h []rollout.Entry) []api.Entry { return list(h, entryOf) })
	wire(t, "diff", differenceOf)
	wire(t, "moves", func(m []control.Move) []api.Move { return list(m, moveOf) })
	unwire(t, commandOf)
	unwire(t, func(c []api.Claim) []control.Claim { return list(c, claimOf) })
}

// wire maps what the loop would say if it said all that it can.
func wire[A, B any](t *testing.T, name string, mapped func(A) B) {
	t.Helper()
	var full A
	apitest.Fill(&full)
	got, err := json.MarshalIndent(mapped(full), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "api", "testdata", name+".json")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(got, '\n'), want) {
		t.Errorf("%s is not mapped to what is in %s:\n%s", name, path, got)
	}
	if ours, theirs := fields(reflect.TypeFor[A](), ""), fields(reflect.TypeFor[B](), ""); !slices.Equal(ours, theirs) {
		t.Errorf("%s: %T has the fields\n%q, and %T\n%q", name, full, ours, mapped(full), theirs)
	}
}

// unwire does the same for what the loop is asked.
func unwire[A, B any](t *testing.T, mapped func(A) B) {
	t.Helper()
	var full A
	var want B
	apitest.Fill(&full)
	apitest.Fill(&want)
	if got := mapped(full); !reflect.DeepEqual(got, want) {
		t.Errorf("%T is mapped to\n%+v, want\n%+v", full, got, want)
	}
}

// fields are the paths of the exported fields of a type, in alphabetical order.
func fields(of reflect.Type, path string) []string {
	switch of.Kind() {
	case reflect.Slice, reflect.Pointer, reflect.Map:
		return fields(of.Elem(), path)
	case reflect.Struct:
		if of == reflect.TypeFor[time.Time]() {
			return []string{path}
		}
		var out []string
		for i := range of.NumField() {
			if f := of.Field(i); f.IsExported() {
				out = append(out, fields(f.Type, path+"."+f.Name)...)
			}
		}
		slices.Sort(out)
		return out
	default:
		return []string{path}
	}
}

// The words of the loop are those of the wire, one for one.
func TestWords(t *testing.T) {
	rolls, controls, wires := constants(t, "../rollout"), constants(t, "../control"), constants(t, "../api")
	for _, test := range []struct {
		wire string
		loop []map[string]string
	}{
		{"Phase", []map[string]string{rolls["Phase"]}},
		{"WaitKind", []map[string]string{rolls["Wait"], controls["rollout.Wait"]}},
		{"Verb", []map[string]string{rolls["Verb"], controls["rollout.Verb"]}},
		{"ProxyState", []map[string]string{controls["State"]}},
		{"DiskState", []map[string]string{controls["DiskState"]}},
		// What control calls something, and gives no type to, is the kind of a Record.
		{"EventKind", []map[string]string{rolls["Kind"], controls["rollout.Kind"], controls[""]}},
	} {
		got, want := slices.Sorted(maps.Values(wires[test.wire])), []string(nil)
		for _, words := range test.loop {
			if len(words) == 0 {
				t.Errorf("there are no words for %s", test.wire)
			}
			want = slices.AppendSeq(want, maps.Values(words))
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("api.%s:\n got %q\nwant %q", test.wire, got, want)
		}
	}
	if got := len(api.Phases); got != len(rollout.Phases) {
		t.Errorf("%d phases are shown, want %d", got, len(rollout.Phases))
	}
	for i, phase := range rollout.Phases {
		if string(phase) != string(api.Phases[i]) {
			t.Errorf("phase %d is %q, want %q", i, api.Phases[i], phase)
		}
	}
}

// constants are the exported ones of a package that are strings, by type and name.
func constants(t *testing.T, dir string) map[string]map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.CONST {
				collect(d, out)
			}
		}
	}
	return out
}

func collect(d *ast.GenDecl, out map[string]map[string]string) {
	for _, spec := range d.Specs {
		s := spec.(*ast.ValueSpec)
		kind := ""
		switch t := s.Type.(type) {
		case *ast.Ident:
			kind = t.Name
		case *ast.SelectorExpr:
			kind = t.X.(*ast.Ident).Name + "." + t.Sel.Name
		}
		for i, name := range s.Names {
			if i >= len(s.Values) || !name.IsExported() {
				continue
			}
			if lit, ok := s.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value) // it compiles
				if out[kind] == nil {
					out[kind] = map[string]string{}
				}
				out[kind][name.Name] = text
			}
		}
	}
}
