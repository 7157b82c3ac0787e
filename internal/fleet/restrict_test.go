package fleet

import (
	"testing"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// What a proxy may be of is what was noted last, whatever it says itself.
func TestRestrict(t *testing.T) {
	said := &corev3.Node{Id: "a"}
	Restrict(said, []string{"own"})
	for _, node := range []*corev3.Node{{Id: "a"}, said, {Id: "a", Metadata: xdstest.Metadata(t, `{"waxwing": {"fleets": "own", "shadow": "127.0.0.1:1"}}`)},
		{Id: "a", Metadata: xdstest.Metadata(t, `{"waxwing": "own"}`)}} {
		for _, fleets := range [][]string{{"edge", "inner"}, {}, nil} {
			n := proto.CloneOf(node)
			Restrict(n, fleets)
			for name, want := range map[string]bool{"edge": len(fleets) > 0 || fleets == nil, "inner": len(fleets) > 0 || fleets == nil, "own": fleets == nil, "": fleets == nil} {
				if got := MayBeOf(n, name); got != want {
					t.Errorf("%v, restricted to %v: may be of %q: %t", node, fleets, name, got)
				}
			}
		}
	}
	kept := &corev3.Node{Metadata: xdstest.Metadata(t, `{"waxwing": {"shadow": "127.0.0.1:1"}}`)}
	Restrict(kept, []string{"edge"})
	if a, err := ShadowAddress(kept); a == nil || err != nil {
		t.Errorf("the rest of its metadata is gone: %v, %v", a, err)
	}
}
