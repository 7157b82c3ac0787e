package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A HoldUp is what a rollout waits for. There is one for as long as there is a
// rollout, and it has an end: by itself at Until, or by the command in Do.
type HoldUp struct {
	Kind  Wait      `json:"kind"`
	Stage string    `json:"stage,omitempty"`
	Nodes []string  `json:"nodes,omitempty"` // the proxies that are waited for, a few of them
	Count int       `json:"count,omitempty"` // how many they are in all
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // when it ends by itself; zero: not by time alone
	Then  string    `json:"then,omitempty"` // what happens at Until
	Do    string    `json:"do,omitempty"`   // the command that ends it
	Text  string    `json:"text"`           // all of that in one sentence
}

// A Wait is a kind of HoldUp.
type Wait string

// The kinds of Wait, those first that keep a rollout from any of the later ones.
const (
	WaitPaused     Wait = "paused"            // a person paused it
	WaitFile       Wait = "no file"           // the fleet's file is gone, and it is not retired yet
	WaitNewer      Wait = "newer"             // a newer revision waits for this one to be stored
	WaitNoProxy    Wait = "no proxy"          // no proxy of the fleet is connected, or none that can be asked the checks
	WaitEmpty      Wait = "empty stage"       // none of those that are can be of the stage
	WaitTrouble    Wait = "in trouble"        // all of the stage's proxies have trouble of their own
	WaitAway       Wait = "away"              // the stage's proxies are not connected
	WaitJoining    Wait = "joining"           // proxies take the last good revision first
	WaitWarming    Wait = "warming"           // proxies load the candidate in their shadow listeners
	WaitProving    Wait = "proving"           // they answer the checks there
	WaitBaseline   Wait = "baseline"          // too little is known of what users are answered by what is served
	WaitFlipping   Wait = "flipping"          // their real listeners take it
	WaitConfirming Wait = "confirming"        // they answer the checks there
	WaitService    Wait = "awaiting service"  // the service behind the filters fails
	WaitBaking     Wait = "baking"            // the bake is not over
	WaitComparing  Wait = "comparing"         // more errors than before are held against those of the other proxies
	WaitApproval   Wait = "awaiting approval" // a person is to end the stage
	WaitDisk       Wait = "disk"              // the revision is not in the state directory yet
)

// Commands that a HoldUp names.
const (
	doResume    = "xds rollout resume"
	doPromote   = "xds rollout promote"
	doSkipEmpty = "xds rollout promote --skip-empty"
	doAbort     = "xds rollout abort"
)

// fewNodes is how many proxies a HoldUp names.
const fewNodes = 3

// phaseWaits are the phases that keep a stage waiting, in their order, and what
// of the proxies is waited for.
var phaseWaits = []struct {
	phase Phase
	kind  Wait
	what  string
}{
	{Joining, WaitJoining, "to take the last good revision first"},
	{Warming, WaitWarming, "to accept the revision in the shadow listener"},
	{Proving, WaitProving, "to answer the checks through the shadow listener"},
	{Flipping, WaitFlipping, "to accept the revision in the real listeners"},
	{Confirming, WaitConfirming, "to answer the checks through the real listeners"},
	{AwaitingService, WaitService, "whose service fails, by no fault of the filters: it is asked again until it answers"},
	{Proven, WaitFlipping, "to be heard, before the real listeners are given the revision"},
}

// Person is whether only a person ends a wait of this kind, whatever time passes.
func (w Wait) Person() bool {
	switch w {
	case WaitPaused, WaitApproval:
		return true
	case WaitAsking, WaitRetry, WaitElsewhere, WaitFile, WaitNewer, WaitNoProxy, WaitEmpty, WaitTrouble, WaitAway, WaitJoining, WaitWarming,
		WaitProving, WaitBaseline, WaitFlipping, WaitConfirming, WaitService, WaitBaking, WaitComparing, WaitDisk:
	}
	return false
}

// aWhile is how long something is waited for before people are told: most of it is
// over sooner.
const aWhile = 2 * time.Second

// tellHoldUp tells of what is waited for a while already, once in a stage. Some of the
// waits are told when they begin, as what happened.
func (s *step) tellHoldUp() {
	h := s.HoldUp(s.now)
	if h == nil || s.now.Sub(h.Since) < aWhile || s.Rollout.toldWaits[h.Kind] {
		return
	}
	switch h.Kind {
	case WaitPaused, WaitFile, WaitEmpty, WaitBaking, WaitApproval:
		return
	case WaitAsking, WaitRetry, WaitElsewhere, WaitNewer, WaitNoProxy, WaitTrouble, WaitAway, WaitJoining, WaitWarming, WaitProving,
		WaitBaseline, WaitFlipping, WaitConfirming, WaitService, WaitComparing, WaitDisk:
	}
	r := s.Rollout
	if r.toldWaits == nil {
		r.toldWaits = map[Wait]bool{}
	}
	r.toldWaits[h.Kind] = true
	entry := Entry{At: s.now, Kind: Waits, Revision: r.Candidate, Stage: h.Stage, Reason: h.Text}
	if len(h.Nodes) == 1 {
		entry.Node = h.Nodes[0]
	}
	s.do(Tell{entry})
}

// HoldUp is what the rollout waits for; nil where there is no rollout. It follows
// the order in which turn looks for a step that is due.
func (f *Fleet) HoldUp(now time.Time) *HoldUp {
	r := f.Rollout
	if r == nil {
		return nil
	}
	h := HoldUp{Stage: r.stage().Name}
	var what, does string
	switch {
	case r.Paused:
		what, does = h.paused(r)
	case f.fileless != nil:
		what, does = h.noFile(f.fileless), "gives the revision up now"
	case r.next != nil:
		what, does = h.newer(r)
	case r.members == 0 || f.isEmpty():
		what, does = f.nobody(&h)
	case r.awaitsBaseline():
		what, does = h.baseline(r), "gives the revision up"
	case r.clientsOnly() && r.waiting == len(r.proven):
		what, does = h.clients(r)
	case !r.allConfirmed():
		what, does = f.phases(&h), "gives the revision up"
	case !r.Approved && r.awaitsFallen(now):
		what, does = h.confirmedBut(r, now)
	default:
		what, does = h.confirmed(r, now)
	}
	if r.Move { // what is served is not at stake
		h.Then = strings.Replace(h.Then, "the revision is rejected", "its proxies stay with their fleet", 1)
		does = strings.Replace(does, "the revision up", "the move up", 1)
	}
	h.Text = h.sentence(what, does, now)
	return &h
}

// sentence is what, since when, until when and what a person can do about it.
func (h *HoldUp) sentence(what, does string, now time.Time) string {
	text := fmt.Sprintf("%s, for %s now", what, seconds(now.Sub(h.Since)))
	if !h.Until.IsZero() {
		text += fmt.Sprintf("; in %s %s", seconds(h.Until.Sub(now)), h.Then)
	}
	return fmt.Sprintf("%s; `%s` %s", text, h.Do, does)
}

func seconds(d time.Duration) string { return max(0, d).Round(time.Second).String() }

func (h *HoldUp) paused(r *Rollout) (what, does string) {
	h.Kind, h.Since, h.Do = WaitPaused, cmp.Or(r.PausedAt, r.StageAt), doResume
	return fmt.Sprintf("the rollout is paused in stage %q by %s", h.Stage, cmp.Or(r.PausedBy, "someone")), "lets it go on"
}

func (h *HoldUp) newer(r *Rollout) (what, does string) {
	h.Kind, h.Since, h.Until, h.Do = WaitNewer, r.nextAt, r.nextAt.Add(diskPatience), doAbort
	h.Then = "it is given up for the newer one"
	return "a newer revision waits until this one, which all stages have confirmed, is written to the state directory", "gives this one up now"
}

// nobody is where no proxy of the stage is connected.
func (f *Fleet) nobody(h *HoldUp) (what, does string) {
	r, stage := f.Rollout, f.Rollout.stage()
	h.Do = doAbort
	switch {
	case len(f.proxies) == 0:
		h.Kind, h.Since = WaitNoProxy, cmp.Or(r.loneAt, r.StageAt)
		return fmt.Sprintf("stage %q waits for a proxy: none of the fleet is connected", h.Stage), "gives the revision up"
	case f.isEmpty():
		h.Kind, h.Since = WaitEmpty, cmp.Or(r.emptyAt, r.StageAt)
		if stage.Deadline > 0 {
			h.Until, h.Then = h.Since.Add(stage.Deadline), "the revision is rejected"
		}
		if r.Stage == len(r.Plan.Stages)-1 { // the whole fleet is never passed over
			return f.empty() + ": one that it can take is waited for", "gives the revision up"
		}
		h.Do = doSkipEmpty
		return f.empty() + ": one that it can take is waited for", "goes on without the stage"
	}
	if len(r.Fallen) > r.natural && (!r.Move || f.anyArrival()) {
		return h.fallen(r)
	}
	if f.allInTrouble(h) {
		node := h.Nodes[0]
		t := f.TroubleOf(node)
		h.Kind = WaitTrouble
		if ends := t.Ends; ends != "" {
			t.Reason += "; " + ends
		} else {
			h.Until, h.Then = t.Next, "it is tried again"
		}
		return fmt.Sprintf("stage %q waits for %s, which can't take it for trouble of its own (%s: %s)", h.Stage, h.who(), node, t.Reason), "gives the revision up"
	}
	h.Kind, h.Since = WaitAway, cmp.Or(r.vacantAt, r.StageAt)
	h.Until, h.Then = h.Since.Add(vacancy), "others are taken in their place"
	h.name(slices.Sorted(maps.Keys(r.Members)))
	return fmt.Sprintf("stage %q waits for %s to come back", h.Stage, h.who()), "gives the revision up"
}

// empty says why a stage has no proxy, though some are connected.
func (f *Fleet) empty() string {
	stage := f.Rollout.stage()
	left, troubled := 0, 0
	for node, p := range f.proxies {
		if stage.matches(p.attributes) {
			left++
			if p.trouble != nil && !f.refusing[node] {
				troubled++
			}
		}
	}
	if left == 0 {
		return fmt.Sprintf("no connected proxy matches stage %q (%s)", stage.Name, stage.criteria())
	}
	if troubled == left {
		return fmt.Sprintf("stage %q has no proxy that can be asked: of %s that it matches each has trouble of its own", stage.Name, proxies(left))
	}
	return fmt.Sprintf("stage %q has no proxy that can be asked: of %s that it matches each refuses what the fleet serves, or did not take it",
		stage.Name, proxies(left))
}

// criteria are those of a stage's match, in words.
func (st Stage) criteria() string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(st.Match)) {
		out = append(out, strings.Replace(key, "label.", "label ", 1)+"="+st.Match[key])
	}
	if len(out) == 0 {
		return "it is for any"
	}
	return strings.Join(out, ", ")
}

// phases is where connected proxies of the stage are not confirmed yet: those are
// named that are furthest behind.
func (f *Fleet) phases(h *HoldUp) string {
	r := f.Rollout
	for _, w := range phaseWaits {
		var nodes []string
		for node := range r.Members {
			if p := f.proxies[node]; p != nil && p.phase == w.phase {
				nodes = append(nodes, node)
				if h.Since.IsZero() || p.since.Before(h.Since) {
					h.Since = p.since
				}
			}
		}
		if len(nodes) == 0 {
			continue
		}
		slices.Sort(nodes)
		h.Kind, h.Do = w.kind, doAbort
		h.name(nodes)
		f.phaseEnds(h, w.phase, nodes)
		what := w.what
		if w.phase == Proving && !r.Plan.ShadowChecks {
			what = "to answer the checks through the real listeners by what is served, to compare with"
		}
		return fmt.Sprintf("stage %q waits for %s %s%s%s", h.Stage, h.who(), what, f.deaf(w.phase, nodes)+f.opens(nodes), h.flapText(r))
	}
	h.Since, h.Do = r.StageAt, doAbort
	return fmt.Sprintf("stage %q waits for its proxies", h.Stage)
}

// phaseEnds says when a phase ends that some proxies are in, and how.
func (f *Fleet) phaseEnds(h *HoldUp, phase Phase, nodes []string) {
	deadline, from := f.Rollout.stage().Deadline, h.Since
	if phase == Proven {
		f.unheardEnds(h, nodes)
		return
	}
	if phase == AwaitingService && !f.anyDenied(nodes) {
		from = f.quietSince(nodes)
	}
	if deadline == 0 || from.IsZero() {
		return
	}
	h.Until, h.Then = from.Add(deadline), "the revision is rejected"
	switch {
	case phase == Proving && !f.Rollout.Plan.ShadowChecks:
		h.Until, h.Then = from.Add(beforePatience), "it goes on without"
	case phase == Joining:
		h.Then = "the stage goes on without it"
	case f.allSilent(nodes):
		h.Then = "the stage goes on without what is not heard, within limits.troubled"
	}
}

// quietSince is since when nothing is heard of the first of some proxies that wait for their
// service; zero where all are heard.
func (f *Fleet) quietSince(nodes []string) (since time.Time) {
	for _, node := range nodes {
		if p := f.proxies[node]; f.hush(p) == silent {
			since = sooner(since, p.heard)
		}
	}
	return since
}

// anyDenied is whether the service of one of these answers for itself.
func (f *Fleet) anyDenied(nodes []string) bool {
	return slices.ContainsFunc(nodes, func(node string) bool { return f.proxies[node].denied })
}

// deaf says that proxies can't be asked the checks that they are to answer, or that nothing is
// heard of them.
func (f *Fleet) deaf(phase Phase, nodes []string) string {
	deaf, quiet := 0, 0
	for _, node := range nodes {
		p := f.proxies[node]
		if !p.health {
			deaf++
		}
		if f.quietFor(p, quietLeast) && (p.traffic.every > 0 || f.now.Sub(p.since) >= quietLeast) {
			quiet++
		}
	}
	text := ""
	if deaf > 0 && (phase == Proving || phase == Confirming) {
		text = fmt.Sprintf(" (%d of %d without a health discovery stream)", deaf, len(nodes))
	}
	if quiet > 0 {
		text += fmt.Sprintf(" (nothing is heard of %d of %d)", quiet, len(nodes))
	}
	return text
}

// confirmed is where all of the stage's connected proxies have confirmed it.
func (h *HoldUp) confirmed(r *Rollout, now time.Time) (what, does string) {
	stage, last := r.stage(), r.Stage == len(r.Plan.Stages)-1
	baked := r.bakeSince.Add(stage.Bake)
	bakes := !r.Approved && now.Before(baked)
	h.Count = r.members
	switch {
	case stage.Manual && !r.Approved && !bakes:
		h.Kind, h.Since, h.Do = WaitApproval, baked, doPromote
		return fmt.Sprintf("stage %q has baked on %s and waits for a person", h.Stage, proxies(r.members)), "approves it, `" + doAbort + "` gives it up"
	case !bakes && !r.Approved && !r.compares(now).IsZero():
		h.Kind, h.Since, h.Do = WaitComparing, r.compares(now), doPromote
		h.Until, h.Then = h.Since.Add(comparing), "the stage ends unless the revision is worse"
		return fmt.Sprintf("stage %q has baked: its proxies may answer otherwise than before, which is held against the other proxies", h.Stage), "ends the stage now"
	case bakes || !last || r.stored: // at its end until the next tick, too
		h.Kind, h.Since, h.Until, h.Do = WaitBaking, r.bakeSince, baked, doPromote
		h.Then = "the next stage begins"
		switch {
		case last && r.Move:
			h.Then = "its proxies are this fleet's"
		case last:
			h.Then = "it is the revision that is served"
		}
		if stage.Manual {
			h.Then = "a person is to approve it"
		}
		return fmt.Sprintf("stage %q bakes: %s must go on holding it%s", h.Stage, proxies(r.members), h.flapText(r)), "ends the stage now"
	}
	h.Kind, h.Since, h.Do = WaitDisk, baked, doAbort
	if h.Since.After(now) { // it was approved before that
		h.Since = r.bakeSince
	}
	return "all stages have confirmed the revision, and it is yet to be written to the state directory", "gives it up"
}

// name notes the proxies that are waited for.
func (h *HoldUp) name(nodes []string) {
	h.Count, h.Nodes = len(nodes), nodes[:min(fewNodes, len(nodes))]
}

// who names them.
func (h *HoldUp) who() string {
	n := len(h.Nodes)
	switch more := h.Count - n; {
	case more > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(h.Nodes, ", "), more)
	case n > 1:
		return strings.Join(h.Nodes[:n-1], ", ") + " and " + h.Nodes[n-1]
	case n == 1:
		return h.Nodes[0]
	}
	return "its proxies"
}
