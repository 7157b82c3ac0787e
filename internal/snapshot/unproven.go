package snapshot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Unproven says what of a revision no check can show, and why.
func (s *Snapshot) Unproven() []string {
	out := s.UnaskedListeners()
	for _, a := range s.OwnAnswers() {
		out = append(out, a.Text)
	}
	shadowed := map[string]bool{}
	for _, e := range s.Entries() {
		for _, filter := range e.Filters {
			shadowed[filter] = shadowed[filter] || e.Shadow
		}
	}
	for _, m := range s.Modules {
		if !shadowed[m.Filter] {
			out = append(out, fmt.Sprintf("filter %s: it has no shadow listener (shadow: false, or none of its listeners is HTTP)", m.Filter))
		}
		if !slices.ContainsFunc(s.Meta.Checks, func(c Check) bool { return c.Filter == m.Filter }) {
			out = append(out, fmt.Sprintf("filter %s: it has no checks: that proxies accept it, and their counters, must do", m.Filter))
		}
	}
	for _, c := range s.Meta.Checks {
		for _, place := range []fleet.Place{fleet.InSandbox, fleet.InShadow, fleet.InLive} {
			if why := c.Unasked(place); why != "" {
				out = append(out, fmt.Sprintf("check %s: not asked in %s: %s", c.Name, place, why))
			} else if lacks := c.Unproven(place); len(lacks) > 0 {
				out = append(out, fmt.Sprintf("check %s: not looked at in %s: %s", c.Name, place, strings.Join(lacks, ", ")))
			}
		}
	}
	return out
}

// UnaskedListeners says through which real listeners the checks can't be asked, and why.
func (s *Snapshot) UnaskedListeners() []string {
	var out []string
	for _, e := range s.Entries() {
		if e.Why != "" {
			out = append(out, fmt.Sprintf("listener %s: %s", e.Way(), e.Why))
		}
	}
	return out
}
