package identity

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// A glob matches what the regular expression does that says the same.
func TestGlob(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(of string, most int) string {
		var b strings.Builder
		for range r.IntN(most + 1) {
			b.WriteByte(of[r.IntN(len(of))])
		}
		return b.String()
	}
	matched := 0
	for range 50_000 {
		before, name, after := word("ab*", 3), word("ab*", 2), word("ab*", 3)
		same := regexp.MustCompile("(?s)^" + globbed(before) + regexp.QuoteMeta(name) + globbed(after) + "$")
		g := glob{}.then(before).text(name).then(after)
		id := word("ab*\n", 7)
		if g.matches(id) != same.MatchString(id) {
			t.Fatalf("%q, %q as it is, %q: %q is %v", before, name, after, id, g.matches(id))
		}
		if g.matches(id) {
			matched++
		}
	}
	if matched < 1000 {
		t.Errorf("only %d matched", matched)
	}
}

func globbed(pattern string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.+`)
}
