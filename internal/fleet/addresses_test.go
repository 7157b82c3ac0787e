package fleet

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// Envoy 1.40.0 aborts at a health check to some of these, and connects to none.
func TestUnasked(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "it has no address",
		`{"socketAddress": {"address": "127.0.0.1", "portValue": 80}}`:                    "",
		`{"socketAddress": {"address": "::1", "portValue": 80}}`:                          "",
		`{"socketAddress": {"address": "127.0.0.1", "portValue": 0}}`:                     "its port is one",
		`{"socketAddress": {"address": "127.0.0.1"}}`:                                     "its port is one",
		`{"socketAddress": {"address": "127.0.0.1", "namedPort": "http"}}`:                "its port has a name",
		`{"socketAddress": {"address": "localhost", "portValue": 80}}`:                    "its address is no number",
		`{"socketAddress": {"address": "fe80::1%eth0", "portValue": 80}}`:                 "its address is no number",
		`{"socketAddress": {"address": "127.0.0.1", "portValue": 80, "protocol": "UDP"}}`: "it speaks UDP",
		`{"pipe": {"path": "/run/x", "mode": 384}}`:                                       "",
		`{"pipe": {"path": "@x"}}`:                                                        "",
		`{"pipe": {"path": "@x", "mode": 384}}`:                                           "has a mode",
		`{"pipe": {"path": "` + strings.Repeat("x", 108) + `"}}`:                          "up to 107 bytes",
		`{"envoyInternalAddress": {"serverListenerName": "x"}}`:                           "it is internal",
	} {
		var a corev3.Address
		if err := protojson.Unmarshal([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
		if got := Unasked(&a); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if Unasked(nil) == "" {
		t.Error("no address can be asked")
	}
}

func TestBindsCollide(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"0.0.0.0:80", "127.0.0.1:80", false}, // both with SO_REUSEPORT, which is Envoy's default
	} {
		one, other := parsed(t, c.a), parsed(t, c.b)
		if got := one.Collides(other); got != c.want || other.Collides(one) != c.want {
			t.Errorf("%s and %s collide: %t, want %t", c.a, c.b, got, c.want)
		}
		other.shares = false
		if wide := strings.HasPrefix(c.a, "0"); one.Collides(other) != (c.want || wide) {
			t.Errorf("%s and %s, which does not share its port, collide: %t", c.a, c.b, !wide)
		}
	}
}

func parsed(t *testing.T, text string) Bind {
	t.Helper()
	a, err := ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	b := BindOf(a)[0]
	b.shares = true
	return b
}
