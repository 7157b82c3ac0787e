package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpwasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	_ "github.com/waxwing-xds/waxwing/internal/extensions"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/golden"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// Every fleet file of testdata, and what a proxy is given for it: testdata/*.golden. Of those
// named shadow_… it is what it has beside its real listeners.
func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fleet files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			snap := build(t, file, nil)
			if strings.HasPrefix(filepath.Base(file), "shadow_") {
				snap = Compose(nil, snap, "")
			}
			golden.Compare(t, strings.TrimSuffix(file, ".yaml")+".golden", render(t, snap))
		})
	}
}

// build makes the snapshot of a fleet file; change edits the file first.
func build(t *testing.T, file string, change func(string) string) *Snapshot {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		data = []byte(change(string(data)))
	}
	f, err := fleet.Parse(file, data)
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]*module.Module{}
	for _, filter := range f.Filters {
		modules[filter.Module] = module.New([]byte("the bytes of " + filepath.Base(filter.Module)))
	}
	s, err := Build(f, modules)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// render writes a snapshot for people: what is in it, version and all.
func render(t *testing.T, s *Snapshot) string {
	t.Helper()
	var out strings.Builder
	fmt.Fprintf(&out, "revision %s of fleet %s\n", s.ID, s.Fleet)
	for _, m := range s.Modules {
		fmt.Fprintf(&out, "module %s %s\n", m.Filter, m.Digest)
	}
	for _, k := range fleet.Kinds {
		typeURL := k.Type
		for _, r := range s.All(typeURL) {
			m, err := r.Wire.GetResource().UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer // protojson varies its spaces on purpose
			if err := json.Indent(&pretty, text, "", "  "); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "\n%s %q version %s\n%s\n", typeURL, r.Name, r.Version, pretty.String())
		}
		if names := s.Required(typeURL); len(names) > 0 {
			fmt.Fprintf(&out, "\nrequired: %s %q\n", typeURL, names)
		}
	}
	return out.String()
}

func wasmOf(t *testing.T, s *Snapshot, name string) *httpwasmv3.Wasm {
	t.Helper()
	var config corev3.TypedExtensionConfig
	var wasm httpwasmv3.Wasm
	if err := s.Get(resource.ExtensionConfigType, name).Wire.GetResource().UnmarshalTo(&config); err != nil {
		t.Fatal(err)
	}
	if err := config.GetTypedConfig().UnmarshalTo(&wasm); err != nil {
		t.Fatal(err)
	}
	return &wasm
}

// What makes a new VM, what only a new revision, and what nothing at all.
func TestVersions(t *testing.T) {
	const file = "testdata/two_filters.yaml"
	replace := func(from, to string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, from) {
				t.Fatalf("%s has no %q", file, from)
			}
			return strings.Replace(s, from, to, 1)
		}
	}
	base := build(t, file, nil)
	for name, c := range map[string]struct {
		change                   func(string) string
		sameID, sameVM, sameElse bool
	}{
		"nothing":                {nil, true, true, true},
		"comments and spaces":    {replace("fleet: edge", "# a comment\n\nfleet:   edge"), true, true, true},
		"who it is for":          {replace("match: {}", "match: {cluster: other}"), true, true, true},
		"order of the keys":      {replace("{header: token, denied_status: 403}", "{denied_status: 403, header: token}"), true, true, true},
		"plugin configuration":   {replace("header: token", "header: other"), false, true, true},
		"failure policy":         {replace("FAIL_RELOAD", "FAIL_CLOSED"), false, true, true},
		"module":                 {replace("auth.wasm", "other.wasm"), false, false, true},
		"environment of the VM":  {replace("key_values: {A: b}", "key_values: {A: c}"), false, false, true},
		"capabilities of the VM": {replace("proxy_log: {}", "proxy_done: {}"), false, false, true},
		"a listener":             {replace("stat_prefix: ingress", "stat_prefix: other"), false, true, false},
	} {
		got := build(t, file, c.change)
		if (got.ID == base.ID) != c.sameID {
			t.Errorf("%s: same revision %v, want %v", name, got.ID == base.ID, c.sameID)
		}
		vm := func(s *Snapshot) string { return wasmOf(t, s, "auth").GetConfig().GetVmConfig().GetVmId() }
		if (vm(got) == vm(base)) != c.sameVM {
			t.Errorf("%s: vm_id %s and %s, want same %v", name, vm(base), vm(got), c.sameVM)
		}
		same := got.Get(resource.ListenerType, "ingress").Version == base.Get(resource.ListenerType, "ingress").Version &&
			got.Get(resource.ExtensionConfigType, "log").Version == base.Get(resource.ExtensionConfigType, "log").Version
		if same != c.sameElse {
			t.Errorf("%s: the listener and the other filter are the same: %v, want %v", name, same, c.sameElse)
		}
	}
	if a, b := wasmOf(t, base, "auth"), wasmOf(t, base, "log"); a.GetConfig().GetVmConfig().GetVmId() == b.GetConfig().GetVmConfig().GetVmId() {
		t.Error("two filters share a VM")
	}
}

func TestEncodeDecode(t *testing.T) {
	s := build(t, "testdata/everything.yaml", nil)
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(s.Fleet, data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(render(t, s), render(t, back)); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	for i := 0; i < len(data); i += len(data)/50 + 1 {
		damaged := bytes.Clone(data)
		damaged[i] ^= 0x55
		if _, err := Decode(s.Fleet, damaged); err == nil {
			t.Errorf("byte %d of %d changed, and it was read", i, len(data))
		}
	}
	if _, err := Decode(s.Fleet, data[:len(data)/2]); err == nil {
		t.Error("half a revision was read")
	}
}

func TestListening(t *testing.T) {
	s := build(t, "testdata/two_filters.yaml", nil)
	address, err := fleet.ParseAddress("127.0.0.1:18001")
	if err != nil {
		t.Fatal(err)
	}
	view, err := s.Listening(map[string]*corev3.Address{"ingress": address, "no such listener": address})
	if err != nil {
		t.Fatal(err)
	}
	if view.ID != s.ID {
		t.Error("a listener at another address is another revision")
	}
	if view.Get(resource.ListenerType, "ingress").Version == s.Get(resource.ListenerType, "ingress").Version {
		t.Error("a listener at another address has the same version")
	}
	if view.Get(resource.ClusterType, "echo") != s.Get(resource.ClusterType, "echo") {
		t.Error("what does not move is not shared")
	}
	if same, err := s.Listening(map[string]*corev3.Address{"no such listener": address}); err != nil || same != s {
		t.Errorf("with nothing to move: %p, %v; want %p itself", same, err, s)
	}
}

// A proxy's own listener is made once, and again when the revision's differs.
func TestForOneProxy(t *testing.T) {
	metadata, err := structpb.NewStruct(map[string]any{fleet.ListenKey: map[string]any{"ingress": "127.0.0.1:18001"}})
	if err != nil {
		t.Fatal(err)
	}
	node := &corev3.Node{Id: "edge-1", Metadata: metadata}
	own := func(change func(string) string, before *Snapshot) (*Snapshot, *Resource) {
		s, err := build(t, "testdata/two_filters.yaml", change).For(node, 0, before)
		if err != nil {
			t.Fatal(err)
		}
		return s, s.Get(resource.ListenerType, "ingress")
	}
	s, first := own(nil, nil)
	if _, again := own(nil, s); again != first {
		t.Error("a listener that has not changed is made again")
	}
	_, other := own(func(text string) string { return strings.Replace(text, "stat_prefix: ", "stat_prefix: other-", 1) }, s)
	if other.Version == first.Version {
		t.Error("a listener that has changed is what it was")
	}
}

// A snapshot that asks for what it does not have would keep a proxy waiting.
func TestBuildRefusesWhatIsIncomplete(t *testing.T) {
	f := &fleet.Fleet{Name: "edge", Filters: []fleet.Filter{{Name: "auth", Module: "auth.wasm"}}}
	if _, err := Build(f, nil); err == nil || !strings.Contains(err.Error(), `filter "auth": module auth.wasm was not loaded`) {
		t.Errorf("without its module: %v", err)
	}
}

// A shadow listener that is elsewhere has another version: else a proxy that has it from a
// server with another state directory would not be sent it.
func TestShadowVersionTellsItsAddress(t *testing.T) {
	node := &corev3.Node{Id: "edge-1"}
	versions := map[string]string{}
	for _, space := range []string{"before", SpacePrefix + "one", SpacePrefix + "two"} {
		for slot := range 2 {
			s, err := Compose(nil, build(t, "testdata/two_filters.yaml", nil), space).For(node, slot, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := s.Get(resource.ListenerType, ShadowPrefix+"ingress")
			if of, got := SlotOf(r.Version); got != slot || of == "" {
				t.Errorf("version %q is of slot %d, want %d", r.Version, got, slot)
			}
			address, err := s.ShadowAddress(r.Name, node, slot)
			if err != nil {
				t.Fatal(err)
			}
			if other, known := versions[r.Version]; known && other != address.String() {
				t.Errorf("version %q is of two addresses", r.Version)
			}
			versions[r.Version] = address.String()
		}
	}
	if len(versions) != 6 {
		t.Errorf("%d versions, want 6: %v", len(versions), versions)
	}
}
