package api_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

// Each state and phase of a proxy that `xds status` shows has a row in docs/rollouts.md, which says
// what it means and what to do; and no row is of one that there is not. TestWords holds
// testdata/words.json against the code.
func TestStatesAreDocumented(t *testing.T) {
	var words struct{ Phase, ProxyState []string }
	if err := json.Unmarshal([]byte(golden.Read(t, "testdata/words.json")), &words); err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)\n\| STATE \|.*?\n\n`).FindString(golden.Read(t, "../../docs/rollouts.md"))
	var rows, want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z ]+)` \\| [^|]+ \\| [^|]+ \\|$").FindAllStringSubmatch(table, -1) {
		rows = append(rows, row[1])
	}
	for _, word := range append(words.Phase, words.ProxyState...) {
		if word != "" { // it is of no rollout, and its state is shown
			want = append(want, word)
		}
	}
	slices.Sort(rows)
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(rows, want) { // "in trouble" is a state and a phase
		t.Errorf("docs/rollouts.md has rows of %q, want one of each of %q", rows, want)
	}
}
