package e2e

import (
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
)

// Where shadow listeners have ports, each listener that comes or goes moves those of the
// others: they are asked where they are.
func TestShadowPortsMove(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		write(t, w.module, gate(t, 1))
		at := map[string]string{"a": freeAddress(t), "m": freeAddress(t), "z": freeAddress(t)}
		yaml := func(names string) []byte {
			var list []listenerAt
			for name := range strings.SplitSeq(names, "") {
				list = append(list, listenerAt{name, at[name]})
			}
			return w.listenersYAML(list)
		}
		write(t, w.fleet, yaml("m"))
		w.startServer()
		p := w.startProxy("edge-0", func(o *bootstrap.Options) { o.Shadow = freeAddresses(t, 16) })
		p.address = at["m"]
		p.serves(w.revisionAfter(1))
		stop := usersEitherWay(p)
		for i, names := range []string{"am", "amz", "mz", "m"} {
			save(t, w.fleet, yaml(names))
			p.serves(w.revisionAfter(i + 2))
		}
		asked, wrong := stop()
		t.Logf("%d of %d requests failed", len(wrong), asked)
		if len(wrong) > 0 {
			t.Errorf("the first: %s", wrong[0])
		}
	})
}
