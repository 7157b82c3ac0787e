package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// nameChecks names each check by its content: what it asks, of which filter, and
// what it expects. Where it stands in the file is no part of it.
func (s *Snapshot) nameChecks() error {
	s.checkKeys = nil
	for _, c := range s.Meta.Checks {
		c.Line = 0
		if !c.Named() && !c.OwnAnswer() && len(c.Expect.Upstream.Headers) == 0 { // else a shadow knows it by its name
			c.Name = "" // it has its name by where it stands
		}
		text, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("a check of filter %q: %w", c.Filter, err)
		}
		s.checkKeys = append(s.checkKeys, hashOf(text))
	}
	s.questions = hashOf([]byte(strings.Join(s.CheckKeys(), " ")))
	return nil
}

// CheckKey names the check at an index of Meta.Checks by its content.
func (s *Snapshot) CheckKey(i int) string { return s.checkKeys[i] }

// CheckKeys are those of all checks, sorted.
func (s *Snapshot) CheckKeys() []string {
	return slices.Compact(slices.Sorted(slices.Values(s.checkKeys)))
}

// Questions names all of the checks together, by their content.
func (s *Snapshot) Questions() string { return s.questions }

// Changes names what of two Metas differs, as the fleet file names it: "checks",
// "shadow", and the keys of its rollout stanza.
func (s *Snapshot) Changes(other *Snapshot) []string {
	var out []string
	if s.questions != other.questions {
		out = append(out, "checks")
	}
	if s.Meta.shadowing() != other.Meta.shadowing() {
		out = append(out, "shadow")
	}
	a, b := reflect.ValueOf(s.Meta.Rollout), reflect.ValueOf(other.Meta.Rollout)
	for i := range a.NumField() {
		if !alike(a.Field(i).Interface(), b.Field(i).Interface()) {
			name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
			out = append(out, name)
		}
	}
	return out
}

// alike compares two parts of a rollout as they are saved: what was restored lacks
// what is empty.
func alike(a, b any) bool {
	one, err1 := json.Marshal(a)
	two, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(one) == string(two)
}

// shadowing tells apart revisions that differ in nothing but what is in their shadow
// listeners: what a proxy is given of them differs.
func (m Meta) shadowing() string {
	if len(m.NoShadow)+len(m.Shadow.Keep)+len(m.Shadow.LeaveOut) == 0 {
		return ""
	}
	parts := slices.Sorted(slices.Values(m.NoShadow))
	for _, more := range [][]string{m.Shadow.Keep, m.Shadow.LeaveOut} {
		if len(more) > 0 {
			parts = append(append(parts, ""), slices.Sorted(slices.Values(more))...)
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "!" + hex.EncodeToString(sum[:4])
}
