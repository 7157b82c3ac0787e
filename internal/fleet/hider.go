package fleet

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// Hidden stands for a part of a secret in what people are shown.
const Hidden = "[secret]"

// minHidden is from what length on a part of a secret is looked for: a shorter one is a part
// of too many words.
const minHidden = 4

// A Hider takes secrets out of what others say of them.
type Hider struct{ parts *strings.Replacer }

// NewHider makes one of whole configurations. Their parts are secrets as well: of JSON the
// values, of anything else each word.
func NewHider(secrets ...[]byte) Hider {
	var parts []string
	for _, secret := range secrets {
		parts = append(parts, strings.TrimSpace(string(secret)))
		d := json.NewDecoder(bytes.NewReader(secret))
		d.UseNumber()
		var value any
		if d.Decode(&value) == nil {
			parts = leaves(parts, value)
		} else {
			parts = append(parts, words(string(secret))...)
		}
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return len(s) < minHidden })
	// Of two that begin alike the longer one is looked for first.
	slices.SortFunc(parts, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, part := range slices.Compact(parts) {
		pairs = append(pairs, part, Hidden)
	}
	if len(pairs) == 0 {
		return Hider{}
	}
	return Hider{strings.NewReplacer(pairs...)}
}

// Hide gives a text without them.
func (h Hider) Hide(text string) string {
	if h.parts == nil {
		return text
	}
	return h.parts.Replace(text)
}

func leaves(parts []string, value any) []string {
	switch v := value.(type) {
	case map[string]any:
		for _, one := range v {
			parts = leaves(parts, one)
		}
	case []any:
		for _, one := range v {
			parts = leaves(parts, one)
		}
	case string:
		parts = append(append(parts, v), words(v)...)
	case json.Number:
		parts = append(parts, v.String())
	}
	return parts
}

func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`"'=:,;{}[]()<>`, r) })
}
