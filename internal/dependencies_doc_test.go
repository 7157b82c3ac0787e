package internal_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

// docs/dependencies.md names the modules that go.mod does, direct ones, with their versions: whoever
// changes one looks at its licence and its advisories, and writes the date.
func TestDependenciesAreDocumented(t *testing.T) {
	doc, rows := golden.Read(t, "../docs/dependencies.md"), 0
	for line := range strings.Lines(golden.Read(t, "../go.mod")) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(words) != 2 || !strings.HasPrefix(words[1], "v") { // another one is `// indirect`
			continue
		}
		rows++
		if row := fmt.Sprintf("| `%s` | %s |", words[0], words[1]); !strings.Contains(doc, row) {
			t.Errorf("docs/dependencies.md has no row that begins with\n%s", row)
		}
	}
	if got := strings.Count(doc, "\n| `"); got != rows {
		t.Errorf("docs/dependencies.md has %d modules, go.mod %d direct ones", got, rows)
	}
}
