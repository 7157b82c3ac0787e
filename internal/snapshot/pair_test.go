package snapshot

import "testing"

// A name is read as it was written, beside whichever fleet it is said; a pair is for people.
func TestNamesOfRevisions(t *testing.T) {
	for text, want := range map[string]Ref{
		"": {}, "abc": {ID: "abc"}, "edge/abc": {Fleet: "edge", ID: "abc"}, "edge+2/closed-abc": {Fleet: "edge+2", ID: "closed-abc"},
	} {
		if got := ParseRef(text); got != want || got.String() != text {
			t.Errorf("%q is read as %+v, and written as %q", text, got, got)
		}
	}
	own, other := Ref{ID: "abc"}, Ref{Fleet: "edge", ID: "def"}
	if own.In("inner") != (Ref{Fleet: "inner", ID: "abc"}) || other.In("inner") != other {
		t.Errorf("they are %v and %v", own.In("inner"), other.In("inner"))
	}
	for want, pair := range map[string]Pair{
		"": {}, "abc": {Live: own}, "~abc": {Shadow: own}, "edge/def~abc": {Live: other, Shadow: own},
	} {
		if pair.String() != want {
			t.Errorf("%+v is written as %q, want %q", pair, pair, want)
		}
	}
}
