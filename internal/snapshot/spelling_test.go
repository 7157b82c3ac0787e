package snapshot

import (
	"path"
	"testing"
)

// Each spelling of a path is another one, means the same, and can be read back.
func TestSpelling(t *testing.T) {
	for _, plain := range []string{"/certs/a.pem", "certs/a.pem"} {
		seen := map[string]bool{plain: true}
		for s := Spelling(1); s < 300; s++ {
			spelt := s.of(plain)
			if seen[spelt] || path.Clean(spelt) != plain {
				t.Errorf("%s is spelt %s", plain, spelt)
			}
			seen[spelt] = true
			if got := s.Plain("Invalid path: " + spelt); got != "Invalid path: "+plain {
				t.Errorf("%s was read as %s", spelt, got)
			}
		}
	}
	if got := Spelling(0).Plain("./a //b"); got != "./a //b" {
		t.Errorf("no spelling reads %s", got)
	}
}
