package rollout

import (
	"fmt"
	"slices"
)

// In a real listener a check meets more than the filters of the revision: other filters beside
// them, of which some refuse by who asks, or by what another service says. Those are not in the
// shadow. Where that has proven a check, and the real listener answers it as such a filter may,
// that tells nothing of the revision:
//
//   - if the proxy had nothing before: what nobody has answered rightly yet, nothing has broken;
//   - or the other filter is new with the revision, or another than before: somebody put it there;
//   - or the check was answered so before the flip, too.
//
// Once all checks have held on a proxy with the revision, these filters let them pass there: what
// is refused later is evidence. A filter of the revision that refuses what it should not is found by
// the shadow.
//
// What was no evidence while a revision was tried is none while it is watched, as long as it is the
// same answer: else a revision would be taken back for what it was served with.

// An Excuse is a failing answer to a check in a real listener that was no evidence.
type Excuse struct {
	Check  string `json:"check"` // its name
	Same   string `json:"same,omitempty"`
	Status int    `json:"status"`
	// Node is the only proxy that it is for, where it tells that the service was not there: "" for all.
	Node string `json:"node,omitempty"`
	Text string `json:"text,omitempty"` // for people: what is not shown therefore, and why
}

// is whether an answer is the one that was no evidence.
func (x Excuse) is(node string, a CheckAnswer) bool {
	same := x.Check == a.Check || x.Same != "" && x.Same == a.Same
	if x.Node != "" {
		return same && x.Node == node && (absent(a.Status) || a.Again)
	}
	return same && x.Status == a.Status && !a.Again
}

func excusedIn(list []Excuse, node string, a CheckAnswer) bool {
	return slices.ContainsFunc(list, func(x Excuse) bool { return x.is(node, a) })
}

// without is a report without some of its failing answers. Where no other is left, the checks
// have passed, as far as it tells of the revision.
func (e Probed) without(no func(CheckAnswer) bool) Probed {
	if e.Passed || !slices.ContainsFunc(e.Wrong, no) {
		return e
	}
	e.Wrong = slices.DeleteFunc(slices.Clone(e.Wrong), no)
	e.Passed = len(e.Wrong) == 0
	return e
}

// withoutExcused is a report on what is served without what was no evidence when it was tried.
func (s *step) withoutExcused(e Probed, list []Excuse) Probed {
	return e.without(func(a CheckAnswer) bool { return excusedIn(list, e.Node, a) })
}

// withoutRefused is a report on the candidate without the answers of other filters, which it notes.
func (s *step) withoutRefused(e Probed) Probed {
	return e.without(func(a CheckAnswer) bool {
		no := s.refusedBeside(e.Node, a)
		if no {
			s.excuse(e.Node, a, notShown(a))
		}
		return no
	})
}

// refusedBeside is whether an answer is that of another filter, and so no evidence.
func (s *step) refusedBeside(node string, a CheckAnswer) bool {
	p, r := s.proxies[node], s.Rollout
	if a.By == "" || a.Again || !r.Plan.provenInShadow() {
		return false
	}
	if before, failed := r.Before[node][a.Check]; failed && before == a.Status || excusedIn(r.Excused, node, a) {
		return true
	}
	served := s.Watch != nil && excusedIn(s.Watch.Excused, node, a)
	return !p.shown && (served || a.New || s.first(node))
}

// notShown says for people what is not shown of a revision for another filter's sake.
func notShown(a CheckAnswer) string {
	return fmt.Sprintf("check %s: not shown there: it is answered %d, which may be by the %s", a.Check, a.Status, a.By)
}

// excuse notes a failing answer that is no evidence, and says so once where it has a text.
func (s *step) excuse(node string, a CheckAnswer, text string) {
	r := s.Rollout
	list := &r.Excused
	if r.Move && s.Watch != nil { // it is served already
		list = &s.Watch.Excused
	}
	if excusedIn(*list, node, a) || text == "" && limited(a) {
		return
	}
	x := Excuse{Check: a.Check, Same: a.Same, Status: a.Status, Text: text}
	if a.Again || absent(a.Status) && text == "" {
		x.Node = node
	}
	*list = append(*list, x)
	if text != "" {
		s.record(Entry{Kind: Unproven, Revision: r.Candidate, Stage: r.stage().Name, Node: node, Reason: text + "; that is no evidence, as the shadow has proven it"})
	}
	s.do(Store{})
}

// outlive forgets that the service of a proxy was not there: it is now.
func (s *step) outlive(node string) {
	w := s.Watch
	if gone := func(x Excuse) bool { return x.Node == node }; slices.ContainsFunc(w.Excused, gone) {
		w.Excused = slices.DeleteFunc(slices.Clone(w.Excused), gone)
		s.do(Store{})
	}
}

// NotShown says which checks of what is tried, or else of what is served, real listeners do not show:
// another filter answers them, or they failed before.
func (f *Fleet) NotShown() []string {
	var list []Excuse
	switch r := f.Rollout; {
	case r != nil && !r.Move:
		list = r.Excused
	case f.Watch != nil:
		list = f.Watch.Excused
	}
	var out []string
	for _, x := range list {
		text := x.Text
		if text == "" && x.Node == "" {
			text = fmt.Sprintf("check %s: it fails there, as it did before: it is answered %d", x.Check, x.Status)
		}
		if text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}
