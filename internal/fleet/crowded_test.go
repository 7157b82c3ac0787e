package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A mapping with very many keys is refused at its line, and at once: the decoder alone takes
// minutes for it.
func TestCrowdedMappings(t *testing.T) {
	var keys strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&keys, "k%d: &a%d v\n", i, i)
	}
	flow := strings.ReplaceAll(strings.TrimSpace(keys.String()), "\n", ", ")
	for name, c := range map[string]struct {
		text string
		line int
	}{
		"at the top": {"fleet: s\n" + keys.String(), 1},
		"below":      {"fleet: s\nresources:\n  {" + flow + "}\n", 3},
	} {
		begun := time.Now()
		_, err := Parse("fleet.yaml", []byte(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("fleet.yaml:%d: %s", c.line, tooLarge)) {
			t.Errorf("%s: %.200v", name, err)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
	}
}
