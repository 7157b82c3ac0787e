// Package rollout decides which revision a proxy gets. It is a pure state
// machine: Step takes what happened and returns what is to be done about it, and
// Target is a function of the state and the node. It does no I/O, reads no clock
// and imports nothing but the standard library.
package rollout

import (
	"slices"
	"time"
)

// maxRejected is how many rejected revisions a fleet remembers.
const maxRejected = 1000

// A Revision is one content that the fleet can serve.
type Revision struct {
	ID     string `json:"id"`               // the hash of the content; "" for none
	Number int    `json:"number,omitempty"` // for people: counts the fleet's revisions
}

// A Rejection is a revision that failed, and why. It is not given to any proxy again.
type Rejection struct {
	Revision
	Node   string    `json:"node"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// A Fleet is where a fleet is:
//
//   - nothing yet: neither Serving nor Candidate. Proxies are given nothing.
//   - serving: Serving only. It is the last good revision: every proxy that was
//     connected accepted all of it.
//   - trying: a Candidate. Every proxy is given it. When all have accepted it, it
//     becomes Serving; when one refuses it, it is rejected and all go back to
//     Serving, or keep what they have where there is none.
//
// A proxy that says nothing keeps a candidate from becoming good, as long as it
// is connected.
//
// The exported fields are what survives a restart.
type Fleet struct {
	Serving   Revision    `json:"serving"`
	Candidate Revision    `json:"-"` // offered again after a restart
	Last      int         `json:"last_number"`
	Rejected  []Rejection `json:"rejected,omitempty"`

	proxies  map[string]string // connected proxies, and the ID that each accepted last
	accepted int               // how many of them accepted the candidate
	stored   bool              // the candidate would survive a crash
}

// Events: what can happen to a fleet.
type (
	// Offered says: a revision was built of what is on disk.
	Offered struct{ ID string }
	// Stored says: a revision is in the state directory, to be served after a restart.
	Stored struct{ ID string }
	// Joined says: a proxy of the fleet connected.
	Joined struct{ Node string }
	// Left says: a proxy of the fleet disconnected.
	Left struct{ Node string }
	// Served says: a proxy accepted all of a revision.
	Served struct{ Node, ID string }
	// Refused says: a proxy refused a part of a revision.
	Refused struct{ Node, ID, Reason string }
)

// An Event is one of Offered, Stored, Joined, Left, Served and Refused.
type Event any

// Effects: what is to be done, in this order.
type (
	// Save says: what survives a restart has changed.
	Save struct{}
	// Retarget says: the target has changed for every proxy of the fleet.
	Retarget struct{}
	// Assign says: give one proxy its target.
	Assign struct{ Node string }
	// Tell says: something that people want to know.
	Tell struct {
		Kind     Kind
		Revision Revision
		Node     string
		Reason   string
	}
)

// An Effect is one of Save, Retarget, Assign and Tell.
type Effect any

// A Kind says what a Tell is about.
type Kind string

// The kinds of Tell.
const (
	Pushing          Kind = "pushing"            // a candidate goes out
	Abandoned        Kind = "abandoned"          // a candidate is replaced by a newer one, or withdrawn on disk
	Serving          Kind = "serving"            // a candidate is the fleet's last good revision now
	Rejected         Kind = "rejected"           // a candidate failed
	StillRejected    Kind = "still rejected"     // the content offered is that of a rejected revision
	ProxyRefusesGood Kind = "proxy refuses good" // one proxy refuses what the others serve
)

// Target is the ID of the revision that a proxy is to have; "" for none: it then
// keeps what it has.
func (f *Fleet) Target(string) string {
	if f.Candidate.ID != "" {
		return f.Candidate.ID
	}
	return f.Serving.ID
}

// ServedBy is the ID of the revision that a connected proxy accepted last.
func (f *Fleet) ServedBy(node string) string { return f.proxies[node] }

// Step takes an event at a time.
func (f *Fleet) Step(event Event, now time.Time) []Effect {
	if f.proxies == nil {
		f.proxies = map[string]string{}
	}
	switch e := event.(type) {
	case Offered:
		return f.offered(e)
	case Stored:
		f.stored = f.stored || e.ID == f.Candidate.ID
		return f.promote()
	case Joined:
		f.forget(e.Node)
		f.proxies[e.Node] = ""
		return []Effect{Assign(e)}
	case Left:
		f.forget(e.Node)
		return f.promote()
	case Served:
		return f.served(e)
	case Refused:
		return f.refused(e, now)
	}
	return nil
}

// forget drops what is known of a proxy.
func (f *Fleet) forget(node string) {
	if id, connected := f.proxies[node]; connected && id != "" && id == f.Candidate.ID {
		f.accepted--
	}
	delete(f.proxies, node)
}

func (f *Fleet) served(e Served) []Effect {
	if _, connected := f.proxies[e.Node]; !connected {
		return nil
	}
	f.forget(e.Node)
	f.proxies[e.Node] = e.ID
	if e.ID != "" && e.ID == f.Candidate.ID {
		f.accepted++
	}
	return f.promote()
}

// try makes a revision the candidate; an empty one means none.
func (f *Fleet) try(r Revision) {
	f.Candidate, f.accepted, f.stored = r, 0, false
	for _, id := range f.proxies {
		if id != "" && id == r.ID {
			f.accepted++
		}
	}
}

func (f *Fleet) offered(e Offered) []Effect {
	if e.ID == f.Candidate.ID {
		return nil
	}
	var effects []Effect
	if f.Candidate.ID != "" {
		effects = append(effects, Tell{Kind: Abandoned, Revision: f.Candidate})
		f.try(Revision{})
	}
	if i := slices.IndexFunc(f.Rejected, func(r Rejection) bool { return r.ID == e.ID }); i >= 0 {
		r := f.Rejected[i]
		effects = append(effects, Tell{Kind: StillRejected, Revision: r.Revision, Node: r.Node, Reason: r.Reason})
		return append(effects, Retarget{})
	}
	if e.ID == f.Serving.ID {
		if len(effects) > 0 {
			effects = append(effects, Retarget{})
		}
		return effects
	}
	f.Last++
	f.try(Revision{ID: e.ID, Number: f.Last})
	effects = append(effects, Tell{Kind: Pushing, Revision: f.Candidate}, Retarget{}, Save{})
	return append(effects, f.promote()...)
}

// promote makes the candidate the last good revision once every connected proxy
// has accepted it, there is at least one, and it is there after a crash as well.
func (f *Fleet) promote() []Effect {
	if f.Candidate.ID == "" || !f.stored || len(f.proxies) == 0 || f.accepted < len(f.proxies) {
		return nil
	}
	f.Serving = f.Candidate
	f.try(Revision{})
	return []Effect{Save{}, Tell{Kind: Serving, Revision: f.Serving}}
}

func (f *Fleet) refused(e Refused, now time.Time) []Effect {
	switch e.ID {
	case "":
		return nil
	case f.Serving.ID:
		return []Effect{Tell{Kind: ProxyRefusesGood, Revision: f.Serving, Node: e.Node, Reason: e.Reason}}
	case f.Candidate.ID:
		rejected := Rejection{Revision: f.Candidate, Node: e.Node, Reason: e.Reason, At: now}
		f.Rejected = append(f.Rejected, rejected)
		if more := len(f.Rejected) - maxRejected; more > 0 {
			f.Rejected = slices.Clone(f.Rejected[more:])
		}
		f.try(Revision{})
		return []Effect{
			Retarget{}, Save{},
			Tell{Kind: Rejected, Revision: rejected.Revision, Node: e.Node, Reason: e.Reason},
		}
	}
	return nil // of a revision that was given up meanwhile
}
