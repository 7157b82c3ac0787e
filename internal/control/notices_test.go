package control_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/control/controltest"
)

// A fleet without a proxy says why, and nothing that is not so: that none matches it is said
// where none does, not where another fleet has those that do.
func TestWhyAFleetHasNoProxy(t *testing.T) {
	const none, tie, stronger = "no connected proxy matches it", "claim the same proxies with equally many criteria", "are claimed with more criteria"
	for _, c := range []struct {
		name, match string
		says        string // the only one of these that it says
	}{
		{"the same match", "{cluster: edge}", tie},
		{"another match of the same proxies", "{id: a*}", tie},
		{"a match with fewer criteria", "{}", stronger},
		{"no proxy", "{cluster: nowhere}", none},
		{"no proxy, though its criteria are as many", "{id: b}", none},
		{"it has one", "{cluster: edge, id: a1}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
				save(w, 1, staged, "match: {cluster: edge}")
				w.Connect("a1", "a2")
				w.Pass(time.Minute)
				w.Save(map[string]string{"twin.yaml": controltest.YAML("twin", 2, staged, "match: "+c.match)})
				w.Pass(time.Minute)
				said := strings.Join(w.Fleet("twin").Notices, "\n")
				for _, text := range []string{none, tie, stronger} {
					if got := strings.Contains(said, text); got != (text == c.says) {
						t.Errorf("%q is said: %t, in %q", text, got, said)
					}
				}
				if c.says == stronger && !strings.Contains(said, "2 proxies (a1, a2) by fleet edge: {}") {
					t.Errorf("it is not said whose they are: %q", said)
				}
				if c.says != "" && strings.Contains(fmt.Sprint(w.Fleet("edge").Notices), none) {
					t.Errorf("edge has them: %q", w.Fleet("edge").Notices)
				}
			})
		})
	}
}
