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
	matched, stronger, had := 0, map[string][]string{}, map[string][]string{}
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
		switch other := c.fleets[name]; {
		case other == nil:
		case counts(other).Criteria() > m.Criteria():
			stronger[name] = append(stronger[name], id)
		case !other.gone.IsZero(): // a tie with what is in no file, which `ties` does not see
			had[name] = append(had[name], id)
		}
	}
	if matched == 0 {
		return "no connected proxy matches it"
	}
	var others []string
	for _, name := range slices.Sorted(maps.Keys(stronger)) {
		others = append(others, fmt.Sprintf("%s by fleet %s", named(stronger[name]), name))
	}
	if len(others) > 0 {
		return "the connected proxies that it matches are claimed with more criteria: " + strings.Join(others, ", ")
	}
	for _, name := range slices.Sorted(maps.Keys(had)) {
		other := c.fleets[name]
		others = append(others, fmt.Sprintf("%s of fleet %s (%s; it is retired in %s)", named(had[name]), name, c.fileWas(other), c.graceLeft(other)))
	}
	if len(others) == 0 {
		return ""
	}
	return "the connected proxies that it matches are claimed with equally many criteria by what has had them before: " + strings.Join(others, ", ")
}

// sayAtSave says what is seldom meant of a file that was saved.
func (c *Control) sayAtSave(f build.File) {
	s := c.fleet(f.Fleet)
	c.sayCertificates(s, f)
	for _, text := range c.ties(f) {
		c.sayNotice(s, text)
	}
	if why := c.lacksProxies(s); c.count(s.name) > 0 && why != "" {
		c.sayNotice(s, fmt.Sprintf("%s:%d: match: %s: %s: by this edit the fleet loses all that it has, %s", f.Path, f.MatchLine, *f.Match, why, proxies(c.count(s.name))))
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
		out = append(out, fmt.Sprintf("%s: it is retired in %s", c.fileWas(s), c.graceLeft(s)))
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
	var kept, behind []string
	for id, n := range c.nodes {
		switch {
		case n.fleet != "" || n.home != s.name || n.base.ID == "":
		case c.isLeftBehind(n):
			behind = append(behind, id)
		default:
			kept = append(kept, id)
		}
	}
	slices.Sort(kept)
	slices.Sort(behind)
	var out []string
	held := c.held(s)
	for _, from := range slices.Sorted(maps.Keys(held)) {
		out = append(out, heldText(held[from], from, c.rolloutWaits(c.fleets[from], time.Now())))
	}
	if len(kept) > 0 {
		out = append(out, named(kept)+unclaimedText)
	}
	if len(behind) > 0 {
		out = append(out, named(behind)+behindText)
	}
	return append(out, c.refusedMoves(s)...)
}

// What is said of proxies that keep what they run, after their names.
const (
	unclaimedText = ": no fleet's match claims them any more: they keep what they run, over their restarts and the server's; have a fleet's match claim them, or end them"
	behindText    = ": they could not take what their fleet serves by now, and keep what they run"
)

// keptText says why a proxy keeps what it runs, and what ends that.
func (c *Control) keptText(n *nodeState, runs rollout.Revision) string {
	keeps := fmt.Sprintf("it keeps revision %s of fleet %s", short(runs), n.home)
	if runs.Number == 0 {
		keeps = fmt.Sprintf("it keeps revision %s of fleet %s", runs.ID[:min(8, len(runs.ID))], n.home)
	}
	if c.leaving(n) {
		return fmt.Sprintf("the match of the revision on its way in fleet %s does not claim it: %s, and is that fleet's as before if the revision is given up", n.home, keeps)
	}
	if c.isLeftBehind(n) {
		why, _ := c.fleets[n.home].rollout.Barred(n.node.GetId())
		return fmt.Sprintf("it could not take what fleet %s serves by now: %s (%s)", n.home, keeps, why.Reason)
	}
	if to := c.claimant(n); to != "" {
		return fmt.Sprintf("fleet %s claims it, and is yet to take it: %s", to, keeps)
	}
	over := ", over its restarts and the server's"
	if c.Revision(n.base) == nil {
		over = ", which is not in the state directory any more: it has nothing if it is started anew"
	}
	return fmt.Sprintf("no fleet's match claims it: %s%s; have the `match` of a fleet claim it, or end it", keeps, over)
}

// waitsText says why there is nothing to give a proxy, and what ends that.
func (c *Control) waitsText(n *nodeState) string {
	s := c.fleets[n.fleet]
	switch {
	case n.waits:
		return "a file that is for it is tried in the sandbox, and it is given what comes of that"
	case s == nil:
		return "no fleet's match claims it, and it is given nothing; have the `match` of a fleet claim it"
	case s.rollout.Rollout != nil:
		return fmt.Sprintf("fleet %s serves nothing yet, and what it tries is yet to come to it", s.name)
	}
	if c.problems[s.name] != "" {
		return fmt.Sprintf("fleet %s has nothing to give it: what is on disk can't be served", s.name)
	}
	state, why := s.cameOf(s.onDisk)
	return strings.TrimSuffix(fmt.Sprintf("fleet %s has nothing to give it: what is on disk is %s: %s", s.name, state, why), ": ")
}

// held are the proxies that a fleet's match claims and the rollout of another has, by that one.
func (c *Control) held(s *fleetState) map[string][]string {
	held := map[string][]string{}
	for id, n := range c.nodes {
		if n.fleet != s.name && n.fleet != "" && c.claimant(n) == s.name {
			held[n.fleet] = append(held[n.fleet], id)
		}
	}
	for _, ids := range held {
		slices.Sort(ids)
	}
	return held
}

// heldText says what that rollout waits for, nil for nothing, and with what command a person ends it.
func heldText(ids []string, from string, waits *rollout.HoldUp) string {
	text := fmt.Sprintf("to be moved here when the rollout of fleet %s has ended, which has them: %s", from, named(ids))
	if waits != nil {
		text += ": " + waits.Text
	}
	return text
}

// heldElsewhere is what a fleet waits for whose proxies the rollout of another has; nil where
// there are none.
func (c *Control) heldElsewhere(s *fleetState) *rollout.HoldUp {
	if len(c.fleets) < 2 || s.rollout.Rollout != nil {
		return nil
	}
	held := c.held(s)
	if len(held) == 0 {
		return nil
	}
	from := slices.Min(slices.Collect(maps.Keys(held))) // one after another
	of := c.rolloutWaits(c.fleets[from], time.Now())
	h := rollout.HoldUp{Kind: api.WaitElsewhere, Count: len(held[from]), Nodes: held[from][:min(3, len(held[from]))], Text: heldText(held[from], from, of)}
	if of != nil {
		h.Stage, h.Since, h.Until, h.Then, h.Do = of.Stage, of.Since, of.Until, of.Then, of.Do
	}
	return &h
}

func (c *Control) refusedMoves(s *fleetState) []string {
	next := "`xds rollout retry --fleet " + s.name + "` tries it again"
	if at := s.rollout.MoveRetryAt(); !at.IsZero() {
		next = "it is tried again by itself " + in(at) + ", or now by `xds rollout retry --fleet " + s.name + "`"
	}
	why := map[rollout.Unmoved][]string{}
	for _, id := range slices.Sorted(maps.Keys(s.rollout.Unmoved)) {
		if u, barred := s.rollout.Barred(id); barred {
			u.At, u.Tries = time.Time{}, 0
			why[u] = append(why[u], id)
		}
	}
	var out []string
	for u, ids := range why {
		out = append(out, fmt.Sprintf("not moved to it, and still of the fleet that had them: %s: %s; %s", named(ids), u.Reason, next))
	}
	slices.Sort(out)
	return out
}
