package build

import "testing"

// Drafts come before anything that they are of is known, are what no one would serve, or
// are never followed by what they held: only what settles counts.
func TestDraftsSayNothing(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		for _, draft := range []map[string]string{
			{"fleet.yaml": gatedYAML("gate.wasm")}, {"fleet.yaml": "fleet: ["}, {"gate.wasm": "of no fleet"},
		} {
			d.draft(draft)
			if saved, built := d.says(); len(saved)+len(built) > 0 {
				t.Errorf("a draft of %v is taken: %+v, %+v", draft, saved, built)
			}
		}
		d.save(map[string]string{"fleet.yaml": gatedYAML("gate.wasm")})
		d.says()
		d.draft(map[string]string{"gate.wasm": "draft"})
		if saved, built := d.says(); len(saved)+len(built) > 0 {
			t.Errorf("a draft of a module is taken: %+v, %+v", saved, built)
		}
		d.save(map[string]string{"gate.wasm": "settled"})
		_, built := d.says()
		if len(built) != 1 || built[0].Snapshot.Modules[0].Digest != d.modules["gate.wasm"].module.Digest || string(d.modules["gate.wasm"].module.Bytes) != "settled" {
			t.Errorf("built is %+v", built)
		}
	})
}

// What a draft has begun serves the save that follows it, also while it goes on: nothing
// is tried twice.
func TestDraftIsTaken(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": gatedYAML("gate.wasm")})
		d.save(map[string]string{"gate.wasm": "1"})
		d.wantBuilt(t, "edge")

		d.draft(map[string]string{"gate.wasm": "2"})
		d.says()
		drafted := d.maker.memo.works[d.maker.memo.kept[shelf{made, "fleet.yaml"}][0]].value
		d.save(map[string]string{"gate.wasm": "2"})
		if _, built := d.says(); len(built) != 1 || any(built[0].Snapshot) != drafted || d.box.tried != 2 {
			t.Errorf("built %+v beside the draft's; tried %d", built, d.box.tried)
		}
		if n := len(d.maker.memo.kept[shelf{made, "fleet.yaml"}]); n != 0 {
			t.Errorf("%d revisions are kept that someone else has", n)
		}

		d.box.hold = make(chan struct{})
		d.draft(map[string]string{"gate.wasm": "3"})
		d.says()
		d.save(map[string]string{"gate.wasm": "3"})
		d.says()
		close(d.box.hold)
		d.wantBuilt(t, "edge")
		if d.box.tried != 3 {
			t.Errorf("tried %d times, want the draft's try to be shared", d.box.tried)
		}
	})
}

// A draft that is followed by something else is given up, and nothing of it is served.
func TestDraftOfSomethingElse(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.draft(map[string]string{"fleet.yaml": plainYAML("edge", 1)})
		d.save(map[string]string{"fleet.yaml": plainYAML("edge", 2)})
		_, built := d.says()
		if len(built) != 1 || built[0].Err != nil {
			t.Fatalf("built %+v", built)
		}
		d.save(map[string]string{"fleet.yaml": plainYAML("edge", 1)})
		if _, again := d.says(); len(again) != 1 || again[0].Snapshot.ID == built[0].Snapshot.ID {
			t.Errorf("two contents are one revision: %+v", again)
		}
	})
}
