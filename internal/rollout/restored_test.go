package rollout

import (
	"encoding/json"
	"testing"
)

// A state that lacks what nothing is in, or has what can't be, does not end the server.
func TestRestored(t *testing.T) {
	for text, good := range map[string]bool{
		`{}`: true,
		`{"rollout":{"candidate":{"id":"a"},"plan":{"stages":[{"percent":100}]}}}`:                      true,
		`{"rollout":{"plan":{"stages":[{"percent":100}]}}}`:                                             false,
		`{"rollout":{"candidate":{"id":"a"},"plan":{"stages":[]}}}`:                                     false,
		`{"rollout":{"candidate":{"id":"a"},"stage":-1,"plan":{"stages":[{"percent":100}]}}}`:           false,
		`{"rollout":{"candidate":{"id":"a"},"members":{"n":7},"plan":{"stages":[{"percent":100}]}}}`:    false,
		`{"rollout":{"candidate":{"id":"a"},"members":{"n":0},"plan":{"stages":[{"percent":100}]}}}`:    true,
		`{"rollout":{"candidate":{"id":"a"},"members":{"n":-1},"plan":{"stages":[{"percent":100.5}]}}}`: false,
	} {
		var f Fleet
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			t.Fatal(err)
		}
		if err := f.Restored(); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		} else if good && f.Rollout != nil && (f.Rollout.Members == nil || f.Rollout.Flipped == nil) {
			t.Errorf("%s: it has no members to add to", text)
		}
	}
}
