package xds

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// A client does what the fuzzer says, step by step, on one stream after another, while a neighbour
// behaves. Each step is a byte, with what it needs behind it:
//
//	0  a request as bytes: as many as the next two bytes say
//	1  a request of the type, with the nonce, names, refusal and node that the next three say
//	2  the control loop assigns a target
//	3  time passes
//	4  the client stops to read, or goes on
//	5  it leaves, and comes again, with the other variant or the same
//	6  the control loop has it tried again
//	7  it answers what it was sent last
const adsSteps = 8

// FuzzADS holds what is true whatever a client says: nothing panics or waits for ever; it is sent
// nothing before the loop says what, and then one response for a request at most, of types it asks
// for, one at a time; a rejection is told only of what it refused; nothing is told of another; all
// that it held of the push budget is given back; and its neighbour is served all the while.
func FuzzADS(f *testing.F) {
	targets := adsTargets(f)
	for _, script := range adsScripts(f) {
		f.Add(script, false)
		f.Add(script, true)
	}
	f.Fuzz(func(t *testing.T, script []byte, sotw bool) {
		if len(script) > 4<<10 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			w := &adsWorld{t: t, targets: targets, script: script, said: map[string]bool{}}
			w.Server = NewServer(slog.New(slog.DiscardHandler), Limits{PushBudget: 100 << 10, PushTimeout: time.Minute})
			w.neighbour()
			w.open(sotw)
			w.play(func() {
				w.step()
				w.look()
			})
			w.end()
		})
	})
}

// adsTargets are two revisions of a fleet, the first with a module that is a large push, and one
// of the same that lacks the filter's listener.
func adsTargets(f *testing.F) []*snapshot.Snapshot {
	f.Helper()
	text := strings.ReplaceAll(fleetYAML, "type: STATIC, load_assignment: {cluster_name: %s}}",
		"type: EDS, eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}}") + endpointsYAML
	var out []*snapshot.Snapshot
	for _, code := range []string{strings.Repeat("1", largePush+1), strings.Repeat("2", largePush+2), "3"} {
		s, err := snapshotOf(strings.ReplaceAll(text, "%s", "echo"), code)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// adsTypes are those that the fuzzer names; the last are of nothing that is served.
var adsTypes = []string{
	resource.ClusterType, resource.EndpointType, resource.ExtensionConfigType, resource.ListenerType, resource.RouteType, resource.SecretType,
	resource.RuntimeType, resource.ScopedRouteType, resource.VirtualHostType, "type.googleapis.com/x", "",
}

// adsNames are names that it subscribes to.
var adsNames = []string{"auth", "echo", "*", "ingress", "nothing", "", "waxwing-shadow/ingress", "a/b"}

// adsWords are what it refuses with: words of a fault, and of a host's trouble.
var adsWords = []string{errBad.Error(), errBusy.Error(), "", strings.Repeat("\x00", 5000)}

// adsScripts are what proxies do: come up, take a revision, refuse one, leave and come again.
func adsScripts(f *testing.F) [][]byte {
	f.Helper()
	raw, err := proto.Marshal(&discoveryv3.DeltaDiscoveryRequest{
		Node: xdstest.Node("a", "edge", nil), TypeUrl: resource.ExtensionConfigType, ResourceNamesSubscribe: []string{"auth"},
		InitialResourceVersions: map[string]string{"auth": "1"},
	})
	if err != nil {
		f.Fatal(err)
	}
	asks := []byte{1, 0, 0, 1, 1, 1, 0x10 | 1, 0, 1, 2, 0x10, 0, 1, 3, 0, 0}
	takes := slices.Repeat([]byte{7, 0}, 8)
	return [][]byte{
		slices.Concat(asks, []byte{2, 1}, takes, []byte{2, 2}, takes, []byte{5, 0}, asks, takes),
		slices.Concat([]byte{2, 1}, asks, []byte{7, 0, 7, 1, 7, 0, 7, 1, 3, 200, 6, 0, 7, 2, 2, 3}, takes),
		slices.Concat(asks, []byte{4, 2, 1, 3, 70, 4}, takes, []byte{1, 2, 0x20, 0, 2, 0, 5, 1}, asks, takes),
		slices.Concat([]byte{0, 0, byte(len(raw))}, raw, []byte{2, 1}, takes, []byte{5, 0, 0, 0, byte(len(raw))}, raw, takes),
		slices.Concat(asks, []byte{2, 3, 1, 0, 15, 0, 1, 2, 13, 0, 1, 3, 15, 1}, takes), // it refuses what it was not asked
		{1, 0, 0, 3, 1, 0, 0, 2, 1, 9, 0xff, 0xff},
	}
}

// adsWorld is a server, the client that the fuzzer speaks for, and its neighbour.
type adsWorld struct {
	*Server
	t       *testing.T
	targets []*snapshot.Snapshot
	script

	client, near *adsClient
	clients      int
	said         map[string]bool // node ids that the client said
	refusals     int             // answers with an error that it gave to what it was asked
	rejected     int             // that were told of it
	assigned     bool
}

func (w *adsWorld) step() {
	switch w.next() % adsSteps {
	case 0:
		w.ask(w.client.parse(w.piece()))
	case 1:
		w.ask(w.request())
	case 2:
		w.assign(w.next())
	case 3:
		<-time.After(time.Duration(w.next()) * time.Second)
	case 4:
		w.client.stall()
	case 5:
		w.leave()
		w.open(w.client.sotw != (w.next()%2 == 1))
	case 6:
		w.again(w.next())
	case 7:
		w.answer(w.next())
	}
	synctest.Wait()
}

// assign says what the client is to have, under each id that it goes by.
func (w *adsWorld) assign(b byte) {
	for id := range w.said {
		target := Target{Fleet: "edge", Home: "edge", Confirmed: b&8 == 0, Whole: b&16 != 0}
		if n := int(b % 4); n > 0 {
			target.Snapshot, w.assigned = w.targets[n-1], true
		}
		w.Assign(id, target)
	}
}

func (w *adsWorld) again(b byte) {
	for id := range w.said {
		switch b % 4 {
		case 0:
			w.Retry(id)
		case 1:
			w.Forgive(id)
		case 2:
			w.SayAgain(id)
		case 3:
			w.Unmatched(id)
		}
	}
}

// request is one that the script describes.
func (w *adsWorld) request() adsRequest {
	url, how, more := adsTypes[int(w.next())%len(adsTypes)], w.next(), w.next()
	r := adsRequest{url: url}
	if how&1 == 0 || w.client.requests == 0 {
		r.node = xdstest.Node("a", "edge", map[string]string{"zone": fmt.Sprint(more >> 6)})
	}
	r.nonce = []string{"", w.client.nonces[url], "1", "none"}[how>>1&3]
	if how&8 != 0 {
		r.detail = &rpcstatus.Status{Code: 13, Message: adsWords[int(more)%len(adsWords)]}
	}
	for i, name := range adsNames {
		switch {
		case how&0x10 != 0 && (more>>i&1 == 1 || i == 0):
			r.names = append(r.names, name)
		case how&0x20 != 0 && more>>i&1 == 0:
			r.gone = append(r.gone, name)
		}
	}
	if how&0x40 != 0 {
		r.versions = map[string]string{"auth": "1", "ingress": "", "echo": w.client.versions["echo"]}
	}
	return r
}

// answer answers what the client was sent last, and is yet to answer.
func (w *adsWorld) answer(b byte) {
	owed := slices.Sorted(maps.Keys(w.client.owes))
	if len(owed) == 0 {
		return
	}
	r := adsRequest{url: owed[0], nonce: w.client.owes[owed[0]]}
	if b&3 != 0 {
		r.detail = &rpcstatus.Status{Code: 13, Message: adsWords[int(b)%len(adsWords)]}
	}
	if w.client.sotw {
		r.names = []string{"auth", "echo"}
	}
	w.ask(r)
}

func (w *adsWorld) ask(r adsRequest) {
	if id := r.node.GetId(); strings.HasPrefix(id, "b") { // the neighbour's; whose id is whose is internal/identity's matter
		r.node.Id = "a" + id[1:]
	}
	if id := r.node.GetId(); id != "" {
		w.said[id] = true
	}
	// While it does not read, it may guess the nonce of what is on its way.
	if r.detail != nil && r.nonce != "" && (w.client.owes[r.url] == r.nonce || w.client.stalled != nil) {
		w.refusals++
	}
	w.client.ask(r)
	synctest.Wait()
}

func (w *adsWorld) open(sotw bool) {
	w.clients++
	w.client = newADSClient(w.t, sotw)
	go w.client.run(w.Server)
	synctest.Wait()
}

// leave ends the client's stream.
func (w *adsWorld) leave() {
	w.client.leave()
	synctest.Wait()
	w.look()
}

// look takes what the server tells.
func (w *adsWorld) look() {
	for _, e := range w.Events() {
		if e.Kind == Rejected && !e.Trouble && !strings.Contains(e.Message, "asks for no scoped routes") { // which the server says in its place
			w.rejected++
		}
		id, _, _ := strings.Cut(e.ID(), "~") // of a twin
		switch {
		case e.ID() == "b":
			w.near.events = append(w.near.events, e)
		case !w.said[id] && !w.said[e.ID()]:
			w.t.Errorf("the client told of %q: %+v", e.ID(), e)
		case e.Kind == Served && !w.assigned, e.Kind == Rejected && !w.assigned:
			w.t.Errorf("of what nobody assigned: %+v", e)
		case len(e.Message) > maxMessage+10:
			w.t.Errorf("%d bytes of its words are kept", len(e.Message))
		}
	}
	if w.rejected > w.refusals {
		w.t.Errorf("%d rejections are told, and it refused %d times what it was asked", w.rejected, w.refusals)
	}
	if !w.assigned && w.client.sent > 0 {
		w.t.Errorf("it was sent something before there was anything for it")
	}
	w.client.hold()
	w.near.hold()
}

// neighbour comes up, and serves the first target.
func (w *adsWorld) neighbour() {
	w.near = newADSClient(w.t, false)
	w.near.honest = true
	go w.near.run(w.Server)
	node := xdstest.Node("b", "edge", nil)
	for url, names := range map[string][]string{resource.ClusterType: nil, resource.ListenerType: nil, resource.EndpointType: {"echo"}, resource.ExtensionConfigType: {"auth"}} {
		w.near.ask(adsRequest{url: url, node: node, names: names})
	}
	synctest.Wait()
	w.serve(0)
}

// serve gives the neighbour a target, and holds that it serves it: at once, or when those who
// had the push budget and never answered have had their time.
func (w *adsWorld) serve(n int) {
	want := w.targets[n]
	w.near.events = nil
	w.Assign("b", Target{Snapshot: want, Fleet: "edge", Home: "edge", Confirmed: true})
	for range 2 {
		synctest.Wait()
		w.near.events = append(w.near.events, slices.DeleteFunc(w.Events(), func(e Event) bool { return e.ID() != "b" })...)
		if slices.ContainsFunc(w.near.events, func(e Event) bool { return e.Kind == Served && e.Revision == want.Pair }) {
			break
		}
		<-time.After(w.limits.PushTimeout + time.Second)
	}
	for _, e := range w.near.events {
		if e.Kind != Connected && e.Kind != Served {
			w.t.Errorf("of the neighbour: %+v", e)
		}
	}
	if last := len(w.near.events) - 1; last < 0 || w.near.events[last].Kind != Served || w.near.events[last].Revision != want.Pair {
		w.t.Fatalf("the neighbour does not serve %s: %+v", want.ID, w.near.events)
	}
}

func (w *adsWorld) end() {
	w.serve(1)
	w.leave()
	w.near.leave()
	synctest.Wait()
	if s := w.Stats(); s.Streams != 0 || s.PushBytesInFlight != 0 || s.PushesWaiting != 0 || w.Connected() != 0 || s.Unmatched != 0 || s.Proxies > len(w.said)+w.clients {
		w.t.Errorf("when all have left there is %+v", s)
	}
}

// parse reads a request, as gRPC would.
func (c *adsClient) parse(raw []byte) adsRequest {
	if c.sotw {
		var m discoveryv3.DiscoveryRequest
		if proto.Unmarshal(raw, &m) != nil {
			return adsRequest{broken: true}
		}
		return adsRequest{url: m.GetTypeUrl(), nonce: m.GetResponseNonce(), node: m.GetNode(), detail: m.GetErrorDetail(), names: m.GetResourceNames(), version: m.GetVersionInfo()}
	}
	var m discoveryv3.DeltaDiscoveryRequest
	if proto.Unmarshal(raw, &m) != nil {
		return adsRequest{broken: true}
	}
	return adsRequest{
		url: m.GetTypeUrl(), nonce: m.GetResponseNonce(), node: m.GetNode(), detail: m.GetErrorDetail(),
		names: m.GetResourceNamesSubscribe(), gone: m.GetResourceNamesUnsubscribe(), versions: m.GetInitialResourceVersions(),
	}
}

// errCut is how gRPC ends a stream of which it can't read a message.
var errCut = fmt.Errorf("it can't be read: %w", io.ErrUnexpectedEOF)

// adsRequest is one of either variant.
type adsRequest struct {
	broken      bool
	url, nonce  string
	node        *corev3.Node
	detail      *rpcstatus.Status
	names, gone []string
	versions    map[string]string
	version     string // of state-of-the-world
}
