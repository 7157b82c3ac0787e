package fleet

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// A request of a command line is refused, or is one that a proxy can be asked, with what was written.
func FuzzCheckOf(f *testing.F) {
	for _, text := range []string{"", "GET /", "POST /path name:value a:b", "/x", "token:7", "host:a", ":path:/", "GET / a", "CONNECT /", "G\x00 / a:\xff", "get / A:B"} {
		f.Add(text, 200)
	}
	f.Add("GET /", 0)
	f.Fuzz(func(t *testing.T, text string, status int) {
		c, err := CheckOf(text, status)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\x00\n") {
				t.Errorf("%q is more than one line", err)
			}
			return
		}
		lines := []string{c.Method + " " + c.Path}
		for _, h := range c.Headers {
			lines = append(lines, h.Name+":"+h.Value) // each whole, on its own
			if h.Name == "host" || h.Name != strings.ToLower(h.Name) || strings.ContainsAny(h.Name+h.Value, "\x00\r\n") {
				t.Errorf("%q has the header %q", text, h)
			}
		}
		if !strings.HasPrefix(c.Path, "/") || c.Method == "CONNECT" || c.Status != status || status < 200 || status > 599 {
			t.Errorf("%q, %d: %+v", text, status, c)
		}
		again, err := CheckOf(strings.Join(lines, "\n"), status)
		if err != nil || again.Method != c.Method || again.Path != c.Path || !slices.Equal(again.Headers, c.Headers) {
			t.Errorf("written and read it is %+v, %+v before (%v)", again, c, err)
		}
	})
}

// Whatever a proxy says of itself, what is read of it is an error or can be used: addresses that
// are valid, the id that it has, and no fleet that its certificate does not let it be of.
func FuzzNode(f *testing.F) {
	for _, text := range []string{
		`{"labels":{"track":"canary"},"listen":{"ingress":"0.0.0.0:18001"},"waxwing":{"shadow":"127.0.0.1:18900","evidence":["health","metrics"],"fleets":["edge"]}}`,
		`{"waxwing.node_id":"b","listen":{"":":0"},"waxwing":7}`, `{"listen":{"a":"[::1%eth0]:1"},"labels":{"a":{"b":1}}}`, `{"waxwing":{"fleets":"x"}}`, `{}`,
	} {
		node := &corev3.Node{Id: "a", Cluster: "edge"}
		if err := described(text, node); err != nil {
			f.Fatal(err)
		}
		raw, err := proto.Marshal(node)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var node corev3.Node
		if proto.Unmarshal(raw, &node) != nil {
			return
		}
		for name, address := range firstOf(ListenAddresses(&node)) {
			if err := address.ValidateAll(); err != nil || address.GetSocketAddress().GetPortValue() == 0 {
				t.Errorf("listener %q is to be at %v (%v)", name, address, err)
			}
		}
		if address, err := ShadowAddress(&node); err == nil && address != nil && address.ValidateAll() != nil {
			t.Errorf("its shadow is to be at %v", address)
		}
		AttributesOf(&node)
		EvidenceOf(&node)
		Restrict(&node, []string{"edge"})
		if !MayBeOf(&node, "edge") || MayBeOf(&node, "other") {
			t.Errorf("with a certificate for edge it may be of another fleet, or not of edge: %v", &node)
		}
		Restrict(&node, nil)
		if !MayBeOf(&node, "other") {
			t.Errorf("it says itself of which fleets it may be: %v", &node)
		}
		before := node.GetId()
		Rename(&node, "twin")
		if node.GetId() != "twin" || before != "" && SaidID(&node) != before {
			t.Errorf("it was %q, and is %q, of %q", before, node.GetId(), SaidID(&node))
		}
		if _, err := proto.Marshal(&node); err != nil {
			t.Errorf("it can't be written: %v", err)
		}
	})
}

func firstOf[A any](a A, _ error) A { return a }

func described(text string, node *corev3.Node) error {
	node.Metadata = &structpb.Struct{}
	return protojson.Unmarshal([]byte(text), node.Metadata)
}
