package snapshot

import (
	"cmp"
	"strings"
)

// A Ref names a revision: by the hash of its content and, where that is not said otherwise,
// by the key of its fleet, since two fleets may have the same content. The zero value
// names none.
type Ref struct {
	Fleet string // "" for the fleet that is spoken of
	ID    string
}

// refMark is in no name of a fleet and in no ID.
const refMark = "/"

// ParseRef reads what Ref.String wrote.
func ParseRef(text string) Ref {
	fleet, id, elsewhere := strings.Cut(text, refMark)
	if !elsewhere {
		return Ref{ID: text}
	}
	return Ref{Fleet: fleet, ID: id}
}

// String is "FLEET/ID", or "ID" of the fleet that is spoken of.
func (r Ref) String() string {
	if r.Fleet == "" {
		return r.ID
	}
	return r.Fleet + refMark + r.ID
}

// In is the same, said to someone who speaks of no fleet.
func (r Ref) In(fleet string) Ref { return Ref{Fleet: cmp.Or(r.Fleet, fleet), ID: r.ID} }

// A Pair is what a proxy has: one revision in its real listeners, another in its shadow
// listeners, or none in either.
type Pair struct{ Live, Shadow Ref }

// pairMark is between the two, and in no Ref.
const pairMark = "~"

// String is "LIVE~SHADOW", or "LIVE" without a shadow.
func (p Pair) String() string {
	if p.Shadow.ID == "" {
		return p.Live.String()
	}
	return p.Live.String() + pairMark + p.Shadow.String()
}

// pairOf names two revisions, of which either may be nil, as those of one fleet.
func pairOf(live, shadow *Snapshot) Pair {
	var p Pair
	if live != nil {
		p.Live.ID = live.ID
	}
	if shadow != nil {
		p.Shadow.ID = shadow.ID
	}
	return p
}

// As is the same content under the names that its revisions have for someone else.
func (s *Snapshot) As(p Pair) *Snapshot {
	if s == nil || s.Pair == p {
		return s
	}
	named := *s
	named.name(p)
	return &named
}

// name gives a snapshot its names.
func (s *Snapshot) name(p Pair) { s.Pair, s.ID = p, p.String()+s.Meta.shadowing() }
