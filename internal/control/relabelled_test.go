package control_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A canary that is started anew with the labels of another fleet, while it bakes, is no evidence
// against what it was given: beside the process before, which leaves then, or after it. One that shares
// its id with another all along, and is lost, is evidence.
func TestCanaryWithOtherLabels(t *testing.T) {
	for how, rejected := range map[string]bool{"beside it": false, "after it": false, "it was there before": true} {
		t.Run(how, func(t *testing.T) {
			controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
				for id, tier := range map[string]string{"a0": "a", "a1": "a", "b": "b"} {
					w.Proxies.Connect(controltest.Node(id, map[string]string{"tier": tier}))
				}
				w.Save(map[string]string{"one.yaml": controltest.YAML("one", 1, staged, matching("a")), "two.yaml": controltest.YAML("two", 2, staged, matching("b"))})
				w.Pass(2 * time.Minute)
				twin := func(id string) {
					node := controltest.Node(id+"~1234", map[string]string{"tier": "b"})
					node.Metadata.Fields[fleet.SaidIDKey] = structpb.NewStringValue(id)
					w.Proxies.Start(node)
					w.Pass(time.Second)
				}
				if how == "it was there before" {
					twin("a0")
					twin("a1")
				}
				w.Save(map[string]string{"one.yaml": controltest.YAML("one", 3, staged, matching("a"))})
				w.Pass(3 * time.Second)
				all := w.Status().Proxies
				i := slices.IndexFunc(all, func(p api.Proxy) bool { return p.Served.Number == 2 })
				if i < 0 {
					t.Fatalf("there is no canary: %+v", all)
				}
				id := all[i].Node
				switch how {
				case "beside it":
					twin(id)
					w.Proxies.Disconnect(id)
				case "after it":
					w.Proxies.Disconnect(id)
					w.Proxies.Start(controltest.Node(id, map[string]string{"tier": "b"}))
				case "it was there before":
					w.Proxies.Disconnect(id)
				}
				w.Pass(10 * time.Minute)
				f := w.Fleet("one")
				if len(f.Rejected) > 0 != rejected || rejected == (f.Serving.Number == 2) {
					t.Errorf("it serves %+v, and has rejected %+v", f.Serving, f.Rejected)
				}
				if !rejected {
					other := map[string]string{"a0": "a1", "a1": "a0"}[id]
					mustServe(t, w, other, "one", f.Serving)
				}
			})
		})
	}
}
