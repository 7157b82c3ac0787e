package deliver

import (
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"

	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// shelf is where this test's revisions are.
type shelf map[snapshot.Ref]*snapshot.Snapshot

func (s shelf) Revision(name snapshot.Ref) *snapshot.Snapshot { return s[name] }

// put puts a revision of a fleet there, and names it.
func (s shelf) put(fleet string, snap *snapshot.Snapshot) snapshot.Ref {
	name := snapshot.Ref{Fleet: fleet, ID: snap.ID}
	s[name] = snap
	return name
}

// streams are proxies that are connected nowhere: what each was given last.
type streams struct {
	Streams
	nodes     map[string]*corev3.Node
	targets   map[string]xds.Target
	plans     map[string]*xds.ProbePlan
	unmatched []string
}

func (s *streams) Node(id string) *corev3.Node          { return s.nodes[id] }
func (s *streams) Connected() int                       { return len(s.nodes) }
func (s *streams) Assign(id string, target xds.Target)  { s.targets[id] = target }
func (s *streams) Probe(id string, plan *xds.ProbePlan) { s.plans[id] = plan }
func (s *streams) Unmatched(id string)                  { s.unmatched = append(s.unmatched, id) }
func (s *streams) connect(id string, meta *structpb.Struct) {
	s.nodes[id] = &corev3.Node{Id: id, Metadata: meta}
}

// world is a delivery with an empty shelf and the proxies "a" and "b".
func world(t *testing.T) (*Delivery, *streams, shelf) {
	t.Helper()
	s, kept := &streams{nodes: map[string]*corev3.Node{}, targets: map[string]xds.Target{}, plans: map[string]*xds.ProbePlan{}}, shelf{}
	s.connect("a", nil)
	s.connect("b", nil)
	return New(slog.New(slog.DiscardHandler), s, kept, "s1-test"), s, kept
}

const ingress = "{socket_address: {address: 0.0.0.0, port_value: 80}}"

// build makes a revision of a fleet with a listener at an address, a filter of a module
// and two checks of it.
func build(t *testing.T, address, moduleText string, edit ...string) *snapshot.Snapshot {
	t.Helper()
	text := strings.NewReplacer(edit...).Replace(fleetFile(address))
	s, err := rig.Snapshot("fleet.yaml", []byte(text), map[string][]byte{"auth.wasm": []byte(moduleText)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fleetFile is a fleet file with two checks, and a listener at an address.
func fleetFile(address string) string {
	f := rig.Fleet{Filter: "auth", Module: "auth.wasm", Checks: `[
      {request: {headers: {token: "7"}}, expect: {status: 200}},
      {request: {headers: {token: "8"}, path: /x}, upstream: {status: 503}, expect: {status: 403}}]`}
	return strings.Replace(string(f.YAML()), "{socket_address: {address: 127.0.0.1, port_value: 1}}", address, 1)
}
