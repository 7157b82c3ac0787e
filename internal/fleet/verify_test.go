package fleet

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

// A filter has the rule of the file, or one of its own; each knows where it stands.
func TestVerify(t *testing.T) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	_, resources, found := strings.Cut(golden.Read(t, "../../fleet.yaml"), "\nresources:")
	if !found {
		t.Fatal("the demo's fleet has no resources")
	}
	f, err := Parse("dir/edge.yaml", []byte(`fleet: edge
verify:
  keys:
    - {file: keys/a.pub}
    - {file: /etc/b.pub}
filters:
  - {name: a, module: {file: a.wasm}, listeners: [ingress]}
  - name: b
    module: {file: b.wasm}
    listeners: [ingress]
    verify: {keys: [{pem: `+fmt.Sprintf("%q", text)+`}], identities: [{issuer: i, subject_regexp: s}], trusted_root: {file: root.json}}
resources:`+resources))
	if err != nil {
		t.Fatal(err)
	}
	files := &Verify{Place: "dir/edge.yaml:2", Keys: []Key{{File: "dir/keys/a.pub"}, {File: "/etc/b.pub"}}}
	own := &Verify{
		Place: "dir/edge.yaml:11", Keys: []Key{{PEM: text}}, Identities: []Identity{{Issuer: "i", SubjectRegexp: "s"}}, TrustedRoot: "dir/root.json",
	}
	if !reflect.DeepEqual(f.Filters[0].Verify, files) || !reflect.DeepEqual(f.Filters[1].Verify, own) || f.Verify != f.Filters[0].Verify {
		t.Errorf("%+v\n%+v", f.Filters[0].Verify, f.Filters[1].Verify)
	}
	if got := strings.Join(own.Files(), " "); got != "dir/root.json" {
		t.Error(got)
	}
}
