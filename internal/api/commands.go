package api

import "github.com/waxwing-xds/waxwing/internal/rollout"

// Command is what a person wants of a fleet.
type Command struct {
	Fleet string `json:"fleet"` // "" where there is only one
	Verb  Verb   `json:"verb"`
	By    string `json:"by"`
	Why   string `json:"why"`
	ID    string `json:"id"` // of the revision, for VerbRetry; "" for the one on disk
	// SkipEmpty has VerbPromote pass a stage that no connected proxy can be of.
	SkipEmpty bool `json:"skip_empty"`
	// AnswersMeant has VerbRetry take other answers than before for what is meant.
	AnswersMeant bool `json:"answers_meant"`
	// To is the number of the revision that VerbUndo goes back to. Revisions are counted from 1: 0,
	// as where nothing is said, is for the one before.
	To int `json:"to"`
}

// A Verb is what is to be done.
type Verb = rollout.Verb

// What can be done to a fleet itself.
const (
	VerbRetire Verb = "retire" // it takes no more proxies
	VerbForget Verb = "forget" // a retired fleet that no proxy runs any more: all of it is deleted
)

// Difference is what a fleet's candidate changes against what it serves.
type Difference struct {
	Serving   Revision `json:"serving"`
	Candidate Revision `json:"candidate"` // none: nothing is on its way
	Changes   []Change `json:"changes"`
	Moves     []Move   `json:"moves"` // the connected proxies that are to change fleets
}

// Change is one resource that differs.
type Change struct {
	Type string `json:"type"` // "Listener"
	Name string `json:"name"`
	Kind string `json:"kind"` // added, removed or changed
	// Diff is what changed, in the unified format, of Envoy's JSON. Modules are named by
	// their digests; what Envoy's API marks as sensitive is left out.
	Diff string `json:"diff,omitempty"`
}

// Move is how many connected proxies would go from one fleet to another.
type Move struct {
	From  string   `json:"from"` // "" for none
	To    string   `json:"to"`   // "": they would be claimed by none, and keep what they run
	Count int      `json:"count"`
	Nodes []string `json:"nodes"` // some of them
}

// Claim is what a fleet file that is not served says of which proxies it is for.
type Claim struct {
	Fleet string `json:"fleet"`
	File  string `json:"file"` // its path; a fleet of that file that is claimed by none is renamed
	Match Match  `json:"match"`
}

// Match says which proxies a fleet is for: those for which every criterion that is set
// holds, and all where none is.
type Match struct {
	ID       string            `json:"id,omitempty"`      // a glob of the node id
	Cluster  string            `json:"cluster,omitempty"` // the node's cluster, exactly
	Locality Locality          `json:"locality,omitzero"`
	Labels   map[string]string `json:"labels,omitempty"` // labels of the node's metadata
}

// Locality narrows by place; empty parts match any.
type Locality struct {
	Region  string `json:"region,omitempty"`
	Zone    string `json:"zone,omitempty"`
	SubZone string `json:"sub_zone,omitempty"`
}
