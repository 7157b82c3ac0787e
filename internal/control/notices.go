package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// lacksProxies says why a fleet is to have no connected proxy by what its file says; "" where
// it is to have one, or what keeps it from them is said by itself: a tie, a move that was refused.
func (c *Control) lacksProxies(s *fleetState) string {
	m := c.onDiskMatch(s.name)
	matched, stronger := 0, map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		n := c.nodes[id]
		counts := func(other *fleetState) *fleet.Match {
			if other == s && m != nil {
				return m
			}
			return other.claims(n.home)
		}
		name := c.best(n.node, n.home, counts)
		if name == s.name {
			return ""
		}
		if m == nil || !m.Matches(n.node) {
			continue
		}
		matched++
		if other := c.fleets[name]; other != nil && counts(other).Criteria() > m.Criteria() {
			stronger[name] = append(stronger[name], id)
		}
	}
	if matched == 0 {
		return "no connected proxy matches it"
	}
	var others []string
	for _, name := range slices.Sorted(maps.Keys(stronger)) {
		others = append(others, fmt.Sprintf("%s by fleet %s", named(stronger[name]), name))
	}
	if len(others) == 0 {
		return ""
	}
	return "the connected proxies that it matches are claimed with more criteria: " + strings.Join(others, ", ")
}

// sayAtSave says what is seldom meant of a file that was saved.
func (c *Control) sayAtSave(f build.File) {
	s := c.fleet(f.Fleet)
	c.sayCertificates(s, f)
	for _, text := range c.ties(f) {
		c.sayNotice(s, text)
	}
	if why := c.lacksProxies(s); c.count(s.name) > 0 && why != "" {
		c.sayNotice(s, fmt.Sprintf("%s:%d: match: %s: %s: by this edit it loses its last, %d of them", f.Path, f.MatchLine, *f.Match, why, c.count(s.name)))
	}
}

func (c *Control) sayNotice(s *fleetState, text string) {
	c.Log.Warn(text, "fleet", s.name)
	c.feed.put(api.Event{Kind: api.EventNotice, Fleet: s.name, Message: text})
}

// ties are the files whose fleets claim the same proxies with as many criteria: who has
// them keeps them, and a new one goes by the fleets' names.
func (c *Control) ties(f build.File) []string {
	var out []string
	mine := *f.Match
	for _, other := range slices.Sorted(maps.Keys(c.files)) {
		o := c.files[other]
		if other == f.Path || o.Match == nil || o.Match.Criteria() != mine.Criteria() {
			continue
		}
		both := c.matchedByBoth(mine, *o.Match)
		if len(both) == 0 && mine.String() != o.Match.String() {
			continue
		}
		text := fmt.Sprintf("%s:%d: fleet %s %s and %s:%d: fleet %s %s claim the same proxies with equally many criteria (%d)",
			f.Path, f.MatchLine, f.Fleet, mine, other, o.MatchLine, o.Fleet, *o.Match, mine.Criteria())
		if len(both) > 0 {
			text += ", " + named(both) + " now"
		}
		out = append(out, text+": each stays where it is, and one that is new goes to the first by name; give one of them another criterion")
	}
	return out
}

func (c *Control) matchedByBoth(a, b fleet.Match) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if n := c.nodes[id]; a.Matches(n.node) && b.Matches(n.node) {
			out = append(out, id)
		}
	}
	return out
}

// notices are what people should know of a fleet and its proxies.
func (c *Control) notices(s *fleetState) []string {
	var out []string
	switch f, ok := c.fileOf(s.name); {
	case s.returning():
		out = append(out, "it is retired since "+s.retirement.At.Format(time.DateTime)+", until what is in its file again is served")
	case s.retired():
		out = append(out, "it is retired since "+s.retirement.At.Format(time.DateTime)+": its proxies keep what they run until another fleet's match claims them")
	case !s.gone.IsZero():
		out = append(out, fmt.Sprintf("its file %s is gone: it is retired in %s", s.file, max(0, c.Grace-time.Since(s.gone)).Round(time.Second)))
	case ok && f.Match != nil:
		out = append(out, c.ties(f)...)
		if why := c.lacksProxies(s); why != "" {
			out = append(out, fmt.Sprintf("%s:%d: %s: %s", f.Path, f.MatchLine, why, *f.Match))
		}
	}
	out = append(out, s.invalidCertificates(time.Now())...)
	out = append(out, s.warnings...)
	out = append(out, c.misplaced(s, s.snapshots[s.onDisk])...)
	return append(out, c.movements(s)...)
}

// movements are the proxies that are not where they are to be, and why.
func (c *Control) movements(s *fleetState) []string {
	var kept []string
	held := map[string][]string{}
	for id, n := range c.nodes {
		switch {
		case n.fleet == s.name: // as nearly all of them
		case n.fleet == "" && n.home == s.name && n.base.ID != "":
			kept = append(kept, id)
		case n.fleet != "" && c.claimant(n) == s.name:
			held[n.fleet] = append(held[n.fleet], id)
		}
	}
	slices.Sort(kept)
	var out []string
	for _, from := range slices.Sorted(maps.Keys(held)) {
		slices.Sort(held[from])
		out = append(out, fmt.Sprintf("%s of fleet %s match it, and are moved when the rollout of that has ended", named(held[from]), from))
	}
	if len(kept) > 0 {
		out = append(out, named(kept)+": no fleet's match claims them any more: they keep what they run")
	}
	return append(out, c.refusedMoves(s)...)
}

func (c *Control) refusedMoves(s *fleetState) []string {
	why := map[rollout.Unmoved][]string{}
	for _, id := range slices.Sorted(maps.Keys(s.rollout.Unmoved)) {
		if u, barred := s.rollout.Barred(id); barred {
			u.At = time.Time{}
			why[u] = append(why[u], id)
		}
	}
	var out []string
	for u, ids := range why {
		out = append(out, fmt.Sprintf("%s were not moved to it, and stay where they were: %s (again with `xds rollout retry --fleet %s`)", named(ids), u.Reason, s.name))
	}
	slices.Sort(out)
	return out
}
