package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// surveyTime is how long proxies are asked the changed checks of what is served, at
// most. A check is asked ten times a second, and told in a report or two.
const surveyTime = 30 * time.Second

// A Survey asks the checks that have changed of every proxy, of the revision that is
// served. What comes of it is for people: the revision was good by the checks that it
// came with, and a check may be wrong.
type Survey struct {
	Since time.Time `json:"since"`

	passed map[string]bool
	failed map[string]string // which
}

// asks is whether a proxy is to be asked still.
func (v *Survey) asks(node string, p *proxy) bool {
	return v != nil && p != nil && p.health && !v.passed[node] && v.failed[node] == ""
}

// answered takes a proxy's answers.
func (s *step) answered(e Probed) {
	v := s.Survey
	if s.Rollout != nil || e.Of != s.Serving.ID || e.Probe != ProbeLive || !v.asks(e.Node, s.proxies[e.Node]) {
		return
	}
	if v.passed == nil {
		v.passed, v.failed = map[string]bool{}, map[string]string{}
	}
	if e.Passed {
		v.passed[e.Node] = true
	} else {
		v.failed[e.Node] = e.Failed
	}
	s.do(Assign{e.Node})
}

// survey ends the one under way when all have answered, when it has taken long
// enough, or when something else is rolled out.
func (s *step) survey() {
	v := s.Survey
	if v == nil {
		return
	}
	if r := s.Rollout; r != nil && r.Move {
		v.Since = s.now // what is served is given to others first
		return
	}
	silent, expected := v.silent(s.proxies)
	lasted := s.now.Sub(v.Since)
	switch {
	case s.Rollout != nil || lasted >= surveyTime:
	case expected > 0 || len(s.proxies) == 0: // after a restart they are yet to come
		return
	case len(silent) > 0 && lasted < healthGrace: // a health discovery stream may open yet
		return
	}
	s.Survey = nil
	s.record(Entry{Kind: Asked, Revision: s.Serving, Reason: v.outcome(silent)})
	s.do(Retarget{})
	s.do(Store{})
}

// AskedLast is what came of asking changed checks of the revision that is served, the
// last time, nil for never.
func (f *Fleet) AskedLast() *Entry {
	for i := len(f.History) - 1; i >= 0; i-- {
		e := f.History[i]
		if e.Revision == f.Serving && e.Kind == Serving {
			return nil // it was not served before
		}
		if e.Revision == f.Serving && e.Kind == Asked {
			return &e
		}
	}
	return nil
}

// silent are the proxies that have not answered, and how many of them can.
func (v *Survey) silent(all map[string]*proxy) (nodes []string, expected int) {
	for node, p := range all {
		if p.base != "" || v.passed[node] || v.failed[node] != "" {
			continue // it runs another fleet's revision still, or has answered
		}
		nodes = append(nodes, node)
		if p.health {
			expected++
		}
	}
	slices.Sort(nodes)
	return nodes, expected
}

// outcome is what came of it, in words.
func (v *Survey) outcome(silent []string) string {
	var out []string
	failed := slices.Sorted(maps.Keys(v.failed))
	for _, node := range failed[:min(fewNodes, len(failed))] {
		out = append(out, fmt.Sprintf("fail on %s: %s", node, v.failed[node]))
	}
	if more := len(failed) - fewNodes; more > 0 {
		out = append(out, fmt.Sprintf("fail on %d more", more))
	}
	if n := len(v.passed); n > 0 || len(failed) == 0 {
		out = append(out, "hold on "+proxies(n))
	}
	if n := len(silent); n > 0 {
		out = append(out, fmt.Sprintf("got no answer from %s (%s)", proxies(n), strings.Join(silent[:min(fewNodes, n)], ", ")))
	}
	return "the changed checks " + strings.Join(out, "; they ")
}
