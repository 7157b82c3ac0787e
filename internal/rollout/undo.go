package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// DefaultKeep is how many revisions that were served are kept for Undo, besides the
// one that is.
const DefaultKeep = 10

// Kept are the revisions that were served before and can be gone back to, the newest
// first.
func (f *Fleet) Kept() []Revision {
	if len(f.Good) == 0 && f.Previous.ID != "" {
		return []Revision{f.Previous}
	}
	return f.Good
}

// Keeps is whether a revision is one of them.
func (f *Fleet) Keeps(id string) bool {
	return slices.ContainsFunc(f.Kept(), func(r Revision) bool { return r.ID == id })
}

// Forget gives up revisions that can't be gone back to any more.
func (f *Fleet) Forget(gone func(id string) bool) {
	f.keep(slices.DeleteFunc(slices.Clone(f.Kept()), func(r Revision) bool { return gone(r.ID) }))
}

// keep sets what can be gone back to: not what is served itself, nor what was
// rejected since it was good, unless it was a person that went back from it: there is
// no evidence against that one, and the person may have been wrong. The previous
// revision is the last before the one that is served.
func (f *Fleet) keep(good []Revision) {
	slices.SortFunc(good, func(a, b Revision) int { return cmp.Compare(b.Number, a.Number) })
	out := map[string]bool{"": true, f.Serving.ID: true}
	for _, r := range f.Rejected {
		out[r.ID] = out[r.ID] || r.Kind != Undone
	}
	f.Good, f.Previous = nil, Revision{}
	for _, r := range good {
		if out[r.ID] || len(f.Good) == cmp.Or(f.Keep, DefaultKeep) {
			continue
		}
		out[r.ID] = true
		f.Good = append(f.Good, r)
		if f.Previous.ID == "" && r.Number < f.Serving.Number {
			f.Previous = r
		}
	}
	if len(f.Good) == 1 && f.Good[0] == f.Previous {
		f.Good = nil // as Kept has it
	}
}

// UndoTo is the revision that a number names for Undo, 0 for the one before; or why
// there is no going back to it.
func (f *Fleet) UndoTo(number int) (to Revision, refusal string) {
	if number == 0 {
		if f.Previous.ID == "" {
			return Revision{}, "there is no revision before this one to go back to"
		}
		return f.Previous, ""
	}
	if number == f.Serving.Number {
		return f.Serving, fmt.Sprintf("revision %d is what is served", number)
	}
	kept := f.Kept()
	if i := slices.IndexFunc(kept, func(r Revision) bool { return r.Number == number }); i >= 0 {
		return kept[i], ""
	}
	if r := f.Rollout; r != nil && r.Candidate.Number == number {
		return Revision{}, fmt.Sprintf("revision %d is on its way, and was not served yet", number)
	}
	if i := slices.IndexFunc(f.Rejected, func(r Rejection) bool { return r.Number == number }); i >= 0 {
		r := f.Rejected[i]
		return Revision{}, fmt.Sprintf("revision %d was rejected (%s); `xds rollout retry --revision %s` tries it again, if it is on disk", number, r.Reason, r.ID)
	}
	if number < 0 || number > f.Last {
		return Revision{}, fmt.Sprintf("there was no revision %d yet", number)
	}
	return f.renumbered(number)
}

// renumbered is what Undo goes back to for a number whose content has a newer one by now: it
// was saved again after another.
func (f *Fleet) renumbered(number int) (to Revision, refusal string) {
	kept, id := f.Kept(), f.contentOf(number)
	was := func(r Revision) bool { return r.ID == id }
	switch i := slices.IndexFunc(kept, was); {
	case id == "":
	case i >= 0:
		return kept[i], ""
	case was(f.Serving):
		return f.Serving, fmt.Sprintf("revision %d is what is served, as %d", number, f.Serving.Number)
	case f.Rollout != nil && was(f.Rollout.Candidate):
		return Revision{}, fmt.Sprintf("revision %d is on its way, as %d", number, f.Rollout.Candidate.Number)
	case f.rejection(id) >= 0:
		return Revision{}, fmt.Sprintf("revision %d was rejected, as %d", number, f.Rejected[f.rejection(id)].Number)
	}
	return Revision{}, fmt.Sprintf("revision %d is not kept: %s", number, keptText(kept))
}

// contentOf is the content that a revision had, "" where the history does not go back to it.
func (f *Fleet) contentOf(number int) string {
	for _, e := range f.History {
		if e.Revision.Number == number {
			return e.Revision.ID
		}
	}
	return ""
}

func keptText(kept []Revision) string {
	if len(kept) == 0 {
		return "no revision that was served before is"
	}
	var numbers []string
	for _, r := range kept {
		numbers = append(numbers, fmt.Sprint(r.Number))
	}
	return "those that were served and are kept are " + strings.Join(numbers, ", ")
}

// undo goes back to a revision that was good: everyone gets it at once. One that is
// on its way is given up for it.
func (s *step) undo(c Command) string {
	to, refusal := s.UndoTo(c.To)
	if s.Rollout != nil && (c.To == 0 || to.ID != "" && to == s.Serving) {
		s.reject(Aborted, "", because("aborted", c), c.By)
		return ""
	}
	if refusal != "" {
		return refusal
	}
	if s.Rollout != nil {
		s.reject(Aborted, "", because("aborted", c), c.By)
	}
	undone := s.Serving
	if i := s.rejection(to.ID); i >= 0 { // somebody went back from it
		s.Rejected = slices.Delete(s.Rejected, i, i+1)
	}
	s.remember(Rejection{Revision: undone, Reason: because("undone", c), At: s.now, Kind: Undone})
	s.goBack(to)
	why := c.Why
	if c.To != 0 {
		as := ""
		if to.Number != c.To {
			as = fmt.Sprintf(", which %d was, too", c.To)
		}
		why = strings.TrimSuffix(fmt.Sprintf("to revision %d (%s)%s: %s", to.Number, to.ID, as, c.Why), ": ")
	}
	s.record(Entry{Kind: Undone, Revision: undone, By: c.By, Reason: why})
	return ""
}
