package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A proxy is in one of these ways with fleets:
//
//   - of its home: it gets what that serves and tries.
//   - arriving in another: it runs what its home served, its base, until it has proven
//     a revision of the other one; then that is its home.
//   - kept: no fleet's match claims it any more, or it can't take what it would have to.
//     It has its base, and is asked nothing.
//   - bare: it has no home that serves anything.

// serves names what a proxy of a fleet runs, for another fleet's rollout.
func (s *fleetState) serves() snapshot.Ref {
	return snapshot.Ref{Fleet: s.key, ID: s.rollout.Serving.ID}
}

// keyed finds a fleet by its key.
func (c *Control) keyed(key string) *fleetState {
	if s := c.fleets[key]; s != nil && s.key == key {
		return s // as it nearly always is
	}
	for _, s := range c.fleets {
		if s.key == key {
			return s
		}
	}
	return nil
}

// Revision finds a revision by its name, nil for one that is not in memory. The delivery
// asks for it.
func (c *Control) Revision(name snapshot.Ref) *snapshot.Snapshot {
	if s := c.keyed(name.Fleet); s != nil {
		return s.snapshots[name.ID]
	}
	return nil
}

// numbered is a revision for people.
func (c *Control) numbered(s *fleetState, name snapshot.Ref) rollout.Revision {
	if name.Fleet != "" {
		s = c.keyed(name.Fleet)
	}
	if s == nil {
		return rollout.Revision{ID: name.ID}
	}
	return rollout.Revision{ID: name.ID, Number: s.number(name.ID)}
}

// sort looks anew at which fleet each proxy is to be of, where something has changed that
// it depends on, and begins the moves that are due. Whoever changes a state calls it by
// step; it calls step itself, so it goes on until nothing changes any more. Where many are
// to be moved, it does so over some turns of the loop: who waits for it is answered in between.
func (c *Control) sort() {
	if c.sorting || !c.unsorted && len(c.unplaced) == 0 {
		return
	}
	c.sorting = true
	defer func() { c.sorting = false }()
	for rounds := 0; (c.unsorted || len(c.unplaced) > 0) && rounds < 10; rounds++ {
		if len(c.unplaced) == 0 {
			c.filesKnown()
			c.unsorted, c.unplaced = false, slices.Sorted(maps.Keys(c.nodes))
		}
		if !c.placeSome() {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(c.fleets)) {
			c.beginMove(c.fleets[name])
		}
	}
	c.sayKept()
	c.sayMoves(slices.Sorted(maps.Keys(c.nodes))...)
}

// maxMoves is how many proxies are moved in one turn of the loop. It costs it some 20 µs for
// each: its stage is told, and what it is to have is worked out.
const maxMoves = 500

// placeSome places those that are yet to be looked at, and reports whether these are all.
func (c *Control) placeSome() bool {
	for len(c.unplaced) > 0 {
		if c.moved >= maxMoves {
			select {
			case c.more <- struct{}{}:
			default:
			}
			return false
		}
		n := c.nodes[c.unplaced[0]]
		if c.unplaced = c.unplaced[1:]; n == nil {
			continue // it has left
		}
		home, fleet, base := n.home, n.fleet, n.base
		if c.place(n); n.home != home || n.fleet != fleet || n.base != base {
			c.moved++
		}
	}
	return true
}

// nextTurn begins another turn of the loop, with what the one before has left of the moves.
func (c *Control) nextTurn() {
	c.moved = 0
	c.batch(c.sort)
}

// place puts a proxy where it belongs now. It stays in a rollout that it is a member of
// until that has ended.
func (c *Control) place(n *nodeState) {
	to := c.claimant(n)
	if held := c.heldBy(n, to); held != "" {
		base := n.base
		if held == n.home {
			base = snapshot.Ref{}
		}
		c.put(n, n.home, held, base)
		return
	}
	other := c.fleets[to]
	waits := !c.runs(n) && to != n.home && c.awaited(n, to)
	if waits != n.waits {
		n.waits = waits
		n.placed = n.placed && n.fleet != ""
	}
	switch {
	case waits:
		c.put(n, "", "", snapshot.Ref{})
	case !c.runs(n):
		c.put(n, to, to, snapshot.Ref{})
		c.unsorted = c.unsorted || c.runs(n) && c.claimant(n) != to // what is on its way elsewhere claims it, now that it runs something
	case to == n.home && c.leaving(n):
		c.put(n, n.home, "", c.keeps(n))
	case to == n.home && (c.isWantedBack(n) || c.comesBack(n)): // it has what it runs until it has proven that
		c.put(n, to, to, c.baseFor(n))
	case to == n.home && c.staysBehind(n):
		c.put(n, n.home, "", c.keeps(n))
	case to == n.home:
		c.put(n, to, to, snapshot.Ref{})
	case to != "" && other.rollout.Open():
		c.put(n, n.home, to, c.baseFor(n))
	case c.claimedByHome(n):
		c.put(n, n.home, n.home, snapshot.Ref{})
	default:
		c.put(n, n.home, "", c.keeps(n))
	}
}

// leaving is whether the revision on its way in a proxy's fleet is not for it: it keeps what
// it runs, and is nobody's canary of what it is to leave.
func (c *Control) leaving(n *nodeState) bool {
	return c.fleets[n.home].excludes(n.node)
}

// excludes is whether a fleet has a revision on its way that is not for a proxy.
func (s *fleetState) excludes(node *corev3.Node) bool {
	r := s.rollout.Rollout
	if r == nil || r.Move || s.rollout.Serving.ID == "" {
		return false
	}
	match, known := s.matches[r.Candidate.ID]
	return known && !match.Matches(node)
}

// excluded are a fleet's own proxies that a match is not for.
func (c *Control) excluded(s *fleetState, match fleet.Match) []*nodeState {
	if s.rollout.Serving.ID == "" {
		return nil
	}
	var out []*nodeState
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if n := c.nodes[id]; n.home == s.name && n.fleet == s.name && !match.Matches(n.node) {
			out = append(out, n)
		}
	}
	return out
}

// heldBy is the fleet whose rollout has the proxy, if it is to be of another one.
func (c *Control) heldBy(n *nodeState, to string) string {
	s := c.fleets[c.with(n)]
	if s == nil || s.name == to || !s.rollout.Member(n.node.GetId()) {
		return ""
	}
	// One that this fleet does not want any more, or can't have, is not of its rollout.
	m := s.claims(n.home)
	_, barred := s.rollout.Barred(n.node.GetId())
	if s.name != n.home && (barred || c.letsGo(s, n) || m == nil || !m.Matches(n.node)) {
		return ""
	}
	return s.name
}

// with is the fleet that decides about a proxy; of one that has just come back, the one
// that did, if it was of a rollout.
func (c *Control) with(n *nodeState) string {
	switch {
	case n.placed:
		return n.fleet
	case n.base.ID == "":
		return n.home
	}
	for name, s := range c.fleets {
		if r := s.rollout.Rollout; r != nil && r.Bases[n.node.GetId()] == n.base.String() {
			return name
		}
	}
	return ""
}

// keeps is what a proxy runs that no fleet claims. It may be that this is not known any more
// but by its name: then it is sent nothing, and keeps it.
func (c *Control) keeps(n *nodeState) snapshot.Ref {
	if n.base.ID != "" {
		return n.base
	}
	return c.fleets[n.home].serves()
}

// baseFor is the same of one that is on its way to another fleet, and goes back to it: where
// it is not known, what its home serves must do.
func (c *Control) baseFor(n *nodeState) snapshot.Ref {
	if base := c.keeps(n); c.Revision(base) != nil {
		return base
	}
	return c.fleets[n.home].serves()
}

// put makes it so: which fleet is a proxy's home, which decides about it, and what it
// runs if that is another.
func (c *Control) put(n *nodeState, home, decides string, base snapshot.Ref) {
	if n.placed && n.home == home && n.fleet == decides && n.base == base {
		return
	}
	if n.fleet != decides || n.base != base {
		c.leave(n, n.placed)
	}
	entered := !n.placed || n.fleet != decides || n.base != base
	n.placed, n.home, n.fleet, n.base = true, home, decides, base
	if entered {
		c.enter(n)
	}
	c.noteGuest(n, c.claimsInForce())
}

// beginMove gives what a fleet serves to the proxies that arrive in it, if it is not
// about to serve something else anyway; and takes a match into force that brings none.
func (c *Control) beginMove(s *fleetState) {
	if s.fileless {
		return
	}
	if r := s.rollout.Rollout; r != nil && !s.rollout.Open() && len(r.Members) == 0 {
		c.restage(s)
	}
	if s.rollout.Rollout != nil || s.rollout.Serving.ID == "" {
		return
	}
	arrivals, expected := 0, 0
	for _, n := range c.nodes {
		switch {
		case n.fleet == s.name && n.base.ID != "":
			arrivals++
		case s.moving != nil && n.home != s.name && c.claimant(n) == s.name:
			expected++ // another rollout has it
		}
	}
	switch {
	case arrivals > 0:
		plan := planOf(s.snapshots[s.rollout.Serving.ID], nil)
		c.step(s, rollout.Offered{ID: s.rollout.Serving.ID, Plan: plan, Move: true})
	case s.moving != nil && expected == 0:
		c.enforce(s, *s.moving, c.movesNone(s))
	}
}

// movesNone says that a match brings none of the proxies that are connected from elsewhere, and of those
// that are not, after a restart say, what becomes.
func (c *Control) movesNone(s *fleetState) string {
	const later = "one that connects later goes by it"
	back := 0
	for _, n := range c.nodes {
		if n.fleet == "" && n.home == s.name && c.behind(n) && s.moving.Matches(n.node) {
			back++
		}
	}
	switch n := len(c.nodes); {
	case back > 0:
		return fmt.Sprintf("of %s it brings %d back, which prove what is served first, and %s", connected(n), back, later)
	case n > 0:
		return fmt.Sprintf("of %s it moves none, and %s", connected(n), later)
	}
	return "no proxy is connected, and " + later
}

func connected(n int) string {
	if n == 1 {
		return "1 connected proxy"
	}
	return fmt.Sprintf("%d connected proxies", n)
}

// restage has a first revision that nobody waits for go to proxies of other fleets, if it
// is for such: else it would wait for a proxy for ever.
func (c *Control) restage(s *fleetState) {
	id := s.candidate().ID
	if snap := s.snapshots[id]; snap != nil && len(c.arrivals(s, s.matches[id])) > 0 {
		c.step(s, rollout.Offered{ID: id, Plan: planOf(snap, nil), Staged: true})
		c.unsorted = true
	}
}

// arrivals are the proxies of other fleets that would come with a match.
func (c *Control) arrivals(s *fleetState, match fleet.Match) []*nodeState {
	s.offering = &match
	defer func() { s.offering = nil }()
	var out []*nodeState
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if n := c.nodes[id]; n.home != s.name && c.runs(n) && c.claimant(n) == s.name {
			out = append(out, n)
		}
	}
	return out
}

// Declined is a match that is not taken into force, though it is on disk: proxies that it
// would have brought could not be moved. It is remembered until there is another, or a
// person has it tried again.
type Declined struct {
	Match  fleet.Match `json:"match"`
	Reason string      `json:"reason"`
}

// enforce takes a match into force.
func (c *Control) enforce(s *fleetState, match fleet.Match, why string) {
	s.moving, s.declined = nil, nil
	c.unsorted = true
	if s.match.String() == match.String() {
		return
	}
	before := s.match
	s.match = match
	if id := s.rollout.Serving.ID; id != "" {
		s.matches[id] = match
	}
	c.guestsAnew()
	c.step(s, rollout.Noted{Entry: rollout.Entry{
		Kind: api.EventMatchChanged, Revision: s.rollout.Serving, Reason: fmt.Sprintf("from %s to %s: %s", before, match, why),
	}})
}

// movedIn takes that proxies have proven a revision of a fleet: it is their home now, and
// the history of the one that they are from says so.
func (c *Control) movedIn(s *fleetState, nodes []string) {
	from, claims := map[string][]string{}, c.claimsInForce()
	for _, id := range nodes {
		home := ""
		if n := c.row(id); n != nil {
			home, n.home, n.base = n.home, s.name, snapshot.Ref{}
			n.told = way{home: s.name} // it is said here
			c.noteGuest(n, claims)
		}
		from[home] = append(from[home], id)
	}
	delete(from, s.name) // what was kept, and is wanted back
	for _, home := range slices.Sorted(maps.Keys(from)) {
		c.note(home, rollout.MovedOut, fmt.Sprintf("%s to fleet %s, whose revision %s they have proven", named(from[home]), s.name, short(s.rollout.Serving)))
	}
}

// notMoved says in the history of their fleets that proxies stay.
func (c *Control) notMoved(s *fleetState, nodes []string, reason string) {
	stay := map[string][]string{}
	for _, id := range nodes {
		if n := c.nodes[id]; n != nil {
			n.told.to = "" // it is said here
			stay[n.home] = append(stay[n.home], id)
		}
	}
	for _, home := range slices.Sorted(maps.Keys(stay)) {
		c.note(home, rollout.MoveRefused, fmt.Sprintf("%s not to fleet %s: %s", named(stay[home]), s.name, reason))
	}
}

// leftBehind says in the history of their fleets that proxies stay for now, and what is tried.
func (c *Control) leftBehind(s *fleetState, nodes []string, reason string) {
	stay := map[string][]string{}
	for _, id := range nodes {
		if n := c.nodes[id]; n != nil {
			stay[n.home] = append(stay[n.home], id)
		}
	}
	for _, home := range slices.Sorted(maps.Keys(stay)) {
		c.note(home, rollout.MoveRefused, fmt.Sprintf("%s not yet to fleet %s, for trouble of its own: %s; it stays as it was, and is tried again until it has taken what that serves",
			named(stay[home]), s.name, reason))
	}
}

// note puts something into a fleet's history, and tells people.
func (c *Control) note(name string, kind rollout.Kind, reason string) {
	if s := c.fleets[name]; s != nil {
		c.step(s, rollout.Noted{Entry: rollout.Entry{Kind: kind, Revision: s.rollout.Serving, Reason: reason}})
	}
}

// sayKept says once of each proxy that no fleet claims any more.
func (c *Control) sayKept() {
	kept, leave, behind := map[string][]string{}, map[string][]string{}, map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		n := c.nodes[id]
		keeps := n.placed && n.fleet == "" && n.base.ID != ""
		switch {
		case !keeps || n.saidKept:
		case c.leaving(n):
			leave[n.home] = append(leave[n.home], id)
		case c.isLeftBehind(n):
			behind[n.home] = append(behind[n.home], id)
		default:
			kept[n.home] = append(kept[n.home], id)
		}
		n.saidKept = keeps
	}
	for _, home := range slices.Sorted(maps.Keys(kept)) {
		c.note(home, api.EventKept, named(kept[home])+unclaimedText)
	}
	for _, home := range slices.Sorted(maps.Keys(behind)) {
		c.note(home, api.EventKept, named(behind[home])+behindText)
	}
	for _, home := range slices.Sorted(maps.Keys(leave)) {
		c.note(home, api.EventKept, named(leave[home])+": the match of the revision on its way does not claim them: they keep what they run")
	}
}

// named counts proxies, and names the first of them.
func named(nodes []string) string {
	const most = 5
	text := strings.Join(nodes[:min(most, len(nodes))], ", ")
	if more := len(nodes) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if len(nodes) == 1 {
		return "1 proxy (" + text + ")"
	}
	return fmt.Sprintf("%d proxies (%s)", len(nodes), text)
}

func short(r rollout.Revision) string {
	return fmt.Sprintf("%d (%s)", r.Number, r.ID[:min(8, len(r.ID))])
}
