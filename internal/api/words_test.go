package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

// The words that stand for things on the wire are in testdata/words.json, whichever package
// has them; and each of a rollout's has its name here, for clients.
func TestWords(t *testing.T) {
	rollouts, apis := constants(t, "../rollout"), constants(t, ".")
	words := map[string][]string{}
	for wire, loop := range map[string]string{
		"EventKind": "Kind", "Phase": "Phase", "WaitKind": "Wait", "Verb": "Verb", "ProxyState": "", "DiskState": "",
	} {
		all := slices.AppendSeq(slices.Collect(maps.Values(rollouts[loop])), maps.Values(apis[wire]))
		slices.Sort(all)
		words[wire] = all
		for name := range rollouts[loop] {
			if _, named := apis[renamed][name]; !named {
				t.Errorf("rollout.%s has no name in api", name)
			}
		}
	}
	golden.Compare(t, "testdata/words.json", string(encode(t, words)))
}

// renamed is the type under which constants returns those that are another package's.
const renamed = "another package's"

// constants are the exported ones of a package that are strings, by type and name; those
// that are another package's are under their name there.
func constants(t *testing.T, dir string) map[string]map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{renamed: {}}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
				collect(spec, out)
			}
			return true
		})
	}
	return out
}

func collect(spec *ast.ValueSpec, out map[string]map[string]string) {
	switch value := spec.Values[0].(type) {
	case *ast.SelectorExpr:
		out[renamed][value.Sel.Name] = spec.Names[0].Name
	case *ast.BasicLit:
		kind, ok := spec.Type.(*ast.Ident)
		if !ok || value.Kind != token.STRING || !spec.Names[0].IsExported() {
			return
		}
		text, _ := strconv.Unquote(value.Value) // it compiles
		if out[kind.Name] == nil {
			out[kind.Name] = map[string]string{}
		}
		out[kind.Name][spec.Names[0].Name] = text
	}
}
