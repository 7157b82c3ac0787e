package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	_ "github.com/waxwing-xds/waxwing/internal/extensions" // every message of Envoy's API
)

// Whatever is said of a fleet, its file is valid.
func TestFleetsAreValid(t *testing.T) {
	for i, f := range []Fleet{
		{},
		{Service: "127.0.0.1:80", Cluster: "other", Policy: "FAIL_OPEN", Config: "{header: token}"},
		{NoFilter: true, Service: "127.0.0.1:80"},
		{Checks: `[{request: {headers: {token: "32323"}}, expect: {status: 200}}]`, NoShadow: true},
		{Extra: Listener("second", "127.0.0.2:80", "\n                rds: {route_config_name: a, config_source: {ads: {}, resource_api_version: V3}}", "") +
			"\n  routes: [{name: a}]"},
	} {
		if _, err := Snapshot("fleet.yaml", f.YAML(), map[string][]byte{"filter.wasm": []byte("a module")}); err != nil {
			t.Errorf("%d: %v\n%s", i, err, f.YAML())
		}
	}
}

// Builds of the small filter differ in the mark alone, and a section makes another module.
func TestModules(t *testing.T) {
	one, err := Gate(1)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Gate(2)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Replace(one, []byte("00000001"), []byte("00000002"), 1); !bytes.Equal(got, two) {
		t.Error("two builds differ in more than their marks")
	}
	long := WithSection(one, "name", make([]byte, 300))
	if want := append(bytes.Clone(one), 0, 0xb1, 0x02, 4, 'n', 'a', 'm', 'e'); !bytes.HasPrefix(long, want) || len(long) != len(want)+300 {
		t.Errorf("the section begins with %x", long[len(one):len(one)+8])
	}
}

// A load counts what was wrong; who leaves asks no more.
func TestLoad(t *testing.T) {
	asked := make(chan struct{}, 1)
	l := StartLoad(
		func(i int) error {
			if i == 3 {
				close(asked)
			}
			if i == 1 {
				return errors.New("wrong")
			}
			return nil
		},
		func(int) error { return fmt.Errorf("closed: %w", ErrLeaves) })
	<-asked
	f := l.End()
	if f.Asked < 5 || len(f.Wrong) != 2 || !strings.Contains(strings.Join(f.Wrong, " "), "closed") || f.Gap <= 0 {
		t.Errorf("%+v", f)
	}
	if again := l.End(); again.Asked != 0 {
		t.Errorf("after its end it asked %d times", again.Asked)
	}
}

// What will never be so is not waited for; and who gives up says what was last.
func TestUntil(t *testing.T) {
	never := errors.New("it has ended")
	if err := Until(t.Context(), func() error { return Never(never) }); !errors.Is(err, never) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	not := errors.New("not yet")
	if err := Until(ctx, func() error { cancel(); return not }); !errors.Is(err, not) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
