package snapshot

import (
	"strings"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// secretSnapshot is one whose filter has a secret for its configuration, and one whose filter
// has it in the fleet file.
func secretSnapshot(t *testing.T, config string, secret bool) *Snapshot {
	t.Helper()
	from := "config: " + config
	if secret {
		from = "config_from: {file: key}"
	}
	f, err := fleet.Parse("fleet.yaml", []byte(strings.NewReplacer("config: {header: HEADER}", from, "PREFIX", "a").Replace(diffYAML)))
	if err == nil {
		f, err = f.Configured(func(fleet.ConfigFrom) ([]byte, error) { return []byte(config), nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := Build(f, map[string]*module.Module{"a.wasm": module.New([]byte("module"))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is a secret in either of two revisions is shown in none of them, also when they come
// back from the disk; that it is another one is.
func TestSecretsAreNotInDiffs(t *testing.T) {
	again := func(s *Snapshot) *Snapshot {
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		s, err = Decode(s.Fleet, data)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	plain, one, two := secretSnapshot(t, "canary-1", false), secretSnapshot(t, "canary-1", true), secretSnapshot(t, "canary-2", true)
	for name, pair := range map[string][2]*Snapshot{
		"it was none": {plain, one}, "it is none any more": {two, plain}, "another": {one, two}, "from the disk": {again(one), again(two)},
		"the first": {nil, one}, "gone": {two, nil}, "both ways": {again(plain), two},
	} {
		changes, err := Diff(pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		all := ""
		for _, c := range changes {
			all += c.Type + " " + c.Name + c.Diff
		}
		if strings.Contains(all, "canary") || !strings.Contains(all, "TypedExtensionConfig auth") {
			t.Errorf("%s: %s", name, all)
		}
		if name == "another" && !strings.Contains(all, "(secret, another one)") {
			t.Errorf("that it is another one is not said: %s", all)
		}
	}
	if plain.ID == one.ID || one.ID == two.ID {
		t.Errorf("revisions %s, %s, %s", plain.ID, one.ID, two.ID)
	}
}

// Envoys quote what they refuse.
func TestSecretsAreNotInWhatProxiesSay(t *testing.T) {
	said := "bad configuration: canary-1 in canary-2"
	for _, secret := range []bool{true, false} {
		s := secretSnapshot(t, "canary-1", secret)
		got := Hide([]*Resource{s.Get(resource.ExtensionConfigType, "auth"), nil, s.Get(resource.ListenerType, "ingress")}, said)
		if want := map[bool]string{true: "bad configuration: [secret] in canary-2", false: said}[secret]; got != want {
			t.Errorf("%q", got)
		}
	}
}
