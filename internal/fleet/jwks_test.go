package fleet

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// What is JSON to Go is so to protobuf, but for what is too deep, and texts that are half a
// character, and nothing of a set of keys is in what is said of it.
func FuzzKeys(f *testing.F) {
	for _, text := range []string{
		`{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}`, `{keys: [{'kty': 'RSA', n: "\u00e9\n",},], x: [1.5e3, -0, null, true, {}]}`,
		`{"a": "-----BEGIN CERTIFICATE-----\n"}`, `{"keys": 1`, `{"\ud83d\ude00": "\ud83d"}`, strings.Repeat(`{"a":[`, 80),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if why := badKeys([]byte(text)); len(why) > 100 || strings.Contains(why, "\n") {
			t.Errorf("%q: %q", text, why)
		}
		var flat map[string]float64
		if _, err := looseObject(text); err != nil && utf8.ValidString(text) && json.Unmarshal([]byte(text), &flat) == nil &&
			flat != nil && strings.Count(text, ":") == len(flat) && !strings.Contains(text, `\`) {
			t.Errorf("%q is JSON: %v", text, err)
		}
	})
}

// What is deeper than Envoy reads takes no stack here.
func TestDeepKeys(t *testing.T) {
	for _, deep := range []string{strings.Repeat("[", 1<<20), strings.Repeat(`{"a":`, 1<<20)} {
		if badKeys([]byte(`{"keys": `+deep)) == "" {
			t.Error("it is taken")
		}
	}
}
