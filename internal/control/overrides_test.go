package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
)

// A listener is renamed that a proxy binds at an address of its own, by its name: the save
// and the status say so, until the listener has that name again.
func TestOverrideOfNoListener(t *testing.T) {
	controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
		says := func(f api.Fleet) bool {
			return slices.ContainsFunc(f.Notices, func(n string) bool { return strings.Contains(n, `1 proxy (a) bind listener "ingress"`) })
		}
		node := controltest.Node("a", nil)
		node.Metadata.Fields["listen"] = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
			"ingress": structpb.NewStringValue("127.0.0.1:18001"),
		}})
		w.Proxies.Connect(node)
		save(w, 1, staged)
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); f.Serving.Number != 1 || says(f) {
			t.Fatalf("serving %v, notices %q", f.Serving, f.Notices)
		}
		renamed := strings.ReplaceAll(controltest.YAML("edge", 1, staged), "ingress", "front")
		w.Save(map[string]string{"edge.yaml": renamed})
		w.Pass(time.Second)
		if said := w.Says(api.EventNotice); len(said) != 1 || !says(w.Fleet("edge")) {
			t.Errorf("said at the save: %q; status: %q", said, w.Fleet("edge").Notices)
		}
		save(w, 1, staged)
		w.Pass(time.Minute)
		if f := w.Fleet("edge"); says(f) {
			t.Errorf("still said: %q", f.Notices)
		}
	})
}
