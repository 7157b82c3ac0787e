package build

import (
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/preflight"
)

func secretly(from string) string {
	return strings.Replace(gatedYAML("gate.wasm"), "listeners: [ingress]}\n", "config_from: "+from+", listeners: [ingress]}\n", 1)
}

// A secret is read as a module is, and a change of it is another revision, also of what is on
// disk for who waits.
func TestSecrets(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		var configs []string
		d.box.refuse = func(p preflight.Plugin) error {
			if !p.Secret {
				t.Error("the sandbox is not told that it is a secret")
			}
			configs = append(configs, string(p.Config.GetConfiguration().GetValue()))
			return nil
		}
		d.save(map[string]string{"fleet.yaml": secretly("{file: key}")})
		d.save(map[string]string{"gate.wasm": "code"})
		saved, built := d.says()
		if f := saved[1].Files[0]; len(built) > 0 || !f.Pending || f.Content != "" || !slices.Contains(d.watched, "key") {
			t.Errorf("before the secret is read: %+v, built %v, watched %v", f, built, d.watched)
		}
		revisions, contents := map[string]bool{}, map[string]bool{}
		for _, key := range []string{"one", "two", ""} {
			d.save(map[string]string{"key": key})
			saved, built = d.says()
			if len(built) != 1 || built[0].Err != nil {
				t.Fatalf("%q: built %+v", key, built)
			}
			revisions[built[0].Snapshot.ID], contents[saved[0].Files[0].Content] = true, true
		}
		if len(revisions) != 3 || len(contents) != 3 || contents[""] {
			t.Errorf("three secrets are revisions %v, contents %v", revisions, contents)
		}
		if !strings.Contains(configs[0], "one") || !strings.Contains(configs[1], "two") {
			t.Errorf("the sandbox was given %q", configs)
		}
		d.save(map[string]string{"key": gone})
		saved, built = d.says()
		if f := saved[0].Files[0]; len(built) > 0 || f.Err == nil || !strings.Contains(f.Err.Error(), `fleet.yaml:3: filter "gate-0": config_from: key does not exist`) {
			t.Errorf("it is gone: %+v, built %v", f, built)
		}
		d.save(map[string]string{"key": "three"})
		d.wantBuilt(t, "edge")
		d.box.refuse = nil                                              // nothing is tried now
		d.save(map[string]string{"fleet.yaml": gatedYAML("gate.wasm")}) // it is none any more
		d.says()
		if d.save(map[string]string{"key": "four"}); slices.Contains(d.watched, "key") {
			t.Error("it is watched still")
		}
		if saved, built := d.says(); len(saved)+len(built) > 0 {
			t.Errorf("it still counts: %+v, %+v", saved, built)
		}
	})
}

func TestSecretOfTheEnvironment(t *testing.T) {
	t.Setenv("WAXWING_TEST_KEY", "one")
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": secretly("{env: WAXWING_TEST_KEY}")})
		d.save(map[string]string{"gate.wasm": "code"})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"fleet.yaml": secretly("{env: WAXWING_TEST_NONE}")})
		saved, _ := d.says()
		if err := saved[0].Files[0].Err; err == nil || !strings.Contains(err.Error(), "the environment of xds has no WAXWING_TEST_NONE") {
			t.Errorf("%v", err)
		}
	})
}
