package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

// Every path and every code of the API is told to its users.
func TestDocumented(t *testing.T) {
	text := golden.Read(t, "../../docs/operating.md")
	n := 0
	for _, path := range []string{"api.go", "errors.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || len(spec.Values) == 0 {
				return true
			}
			name := spec.Names[0].Name
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && (strings.HasPrefix(name, "Path") || strings.HasPrefix(name, "Code")) {
				word, _ := strconv.Unquote(lit.Value) // it compiles
				n++
				// "GET /v1/history?fleet=NAME" has it, and so has "refused" in a table.
				if !strings.Contains(text, " "+word+"`") && !strings.Contains(text, " "+word+"?") && !strings.Contains(text, "| `"+word+"` |") {
					t.Errorf("docs/operating.md says nothing of %s", word)
				}
			}
			return true
		})
	}
	if n < 15 {
		t.Errorf("only %d paths and codes were looked for", n)
	}
}
