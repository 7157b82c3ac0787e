package api

import (
	"time"

	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// Status is what GET /v1/status answers. Proxies are all that are connected, or with
// ?limit=N as many of them, the first by node id: Next is where GET /v1/proxies goes on
// then.
type Status struct {
	Fleets   []Fleet           `json:"fleets"`
	Proxies  []Proxy           `json:"proxies"`
	Problems map[string]string `json:"problems,omitempty"` // by file, of files that no fleet was ever read from
	// Unsettled says that what is on disk is being read: there may be another fleet.
	Unsettled bool   `json:"unsettled"`
	Next      string `json:"next,omitempty"` // "": these are all the proxies
	Port      *Port  `json:"port,omitempty"` // of xDS
	Admin     *Admin `json:"admin,omitempty"`
}

// Fleet is one fleet.
type Fleet struct {
	Fleet     string      `json:"fleet"`     // its name
	Serving   Revision    `json:"serving"`   // the last good revision
	Candidate Revision    `json:"candidate"` // what is on its way
	Previous  Revision    `json:"previous"`  // what was served before; for undo
	Kept      []Revision  `json:"kept"`      // what can be gone back to, the newest first
	Rollout   *Rollout    `json:"rollout,omitempty"`
	Modules   []Module    `json:"modules"` // of the candidate, or of what is served
	Rejected  []Rejection `json:"rejected,omitempty"`
	Problem   string      `json:"problem,omitempty"` // why what is on disk can't be served
	Proxies   int         `json:"proxies"`           // connected ones that it decides about
	// File is where it is read from, or was; Retired, that it takes no more proxies.
	File    string      `json:"file,omitempty"`
	Retired *Retirement `json:"retired,omitempty"`
	// Notices are what people should know of it and its proxies.
	Notices []string `json:"notices,omitempty"`
	// Pending says that a change on disk is settling, or in preflight: what comes of
	// it is not known yet. OnDisk is the ID of what was built of the disk last.
	Pending bool   `json:"pending"`
	OnDisk  string `json:"on_disk"`
	// Degraded is evidence against what is served, nil for none. It takes that back,
	// where it may, until WatchedUntil; zero: it does not.
	Degraded     *Degraded `json:"degraded,omitempty"`
	WatchedUntil time.Time `json:"watched_until,omitzero"`
	// Troubled are proxies that can't take what they are to have; nil for none.
	Troubled *Troubled `json:"troubled,omitempty"`
	// Unsaved says why the state directory does not have the fleet's state, and since
	// when: a restart would go back to an older one.
	Unsaved      string    `json:"unsaved,omitempty"`
	UnsavedSince time.Time `json:"unsaved_since,omitzero"`
	// Unproven is what of the revision can't be proven, and why.
	Unproven []string `json:"unproven,omitempty"`
	// WaitsFor is what a change on its way waits for; nil where none is on its way.
	WaitsFor *Wait `json:"waits_for,omitempty"`
	// Disk is what is on disk, and what has come of it.
	Disk Disk `json:"disk"`
	// Asked is what came of asking changed checks of what is served, if it was done.
	Asked *Entry `json:"asked,omitempty"`
}

// Revision is one content that a fleet can serve.
type Revision = rollout.Revision

// Module is the module of a filter.
type Module struct {
	Filter string `json:"filter"`
	Digest string `json:"digest"` // sha256, hex
}

// Rejection is a revision that failed, and why. No proxy is given it again, until a
// person says so.
type Rejection = rollout.Rejection

// Retirement is why a fleet takes no more proxies.
type Retirement struct {
	At      time.Time `json:"at"`
	By      string    `json:"by,omitempty"`      // a person, or "" for the server
	Content string    `json:"content,omitempty"` // of the file that it has all the same
}

// Degraded is evidence against what a fleet serves, that of the first proxy that has any.
type Degraded = rollout.Degraded

// Troubled are the proxies of a fleet that can't take what they are to have, for trouble of
// their own: a port in use, a file missing on the host.
type Troubled struct {
	Count int `json:"count"`
	// TooMany is whether they are more than the fleet may go without (limits.troubled), or
	// all that it has: what it serves is then not served.
	TooMany bool      `json:"too_many"`
	Nodes   []string  `json:"nodes"` // a few of them, that first which is in trouble for longest
	Since   time.Time `json:"since"` // when that one's trouble began
	Text    string    `json:"text"`  // all of that in one sentence
}

// Disk is what is on disk for a fleet, and what has come of it.
type Disk struct {
	// File is where it is, "" where it is gone.
	File string `json:"file,omitempty"`
	// Content names what is in the fleet file and its modules: it is the same for the
	// same bytes, also after a restart.
	Content  string    `json:"content,omitempty"`
	Saved    time.Time `json:"saved,omitzero"`
	State    DiskState `json:"state"`
	Revision Revision  `json:"revision"`      // what was built of it, if it could be
	Why      string    `json:"why,omitempty"` // it is not served
}

// A DiskState sums up what has come of a save.
type DiskState string

// What can have come of a save.
const (
	DiskNothing  DiskState = "nothing"  // there is no file of the fleet
	DiskReading  DiskState = "reading"  // it is read, or tried in the sandbox
	DiskRefused  DiskState = "refused"  // it can't be read, or did not pass the sandbox
	DiskTried    DiskState = "tried"    // it is rolled out
	DiskServed   DiskState = "served"   // it is
	DiskRejected DiskState = "rejected" // there was evidence against it
	DiskAborted  DiskState = "aborted"  // a person gave it up
	DiskUndone   DiskState = "undone"   // a person went back from it
	DiskRetired  DiskState = "retired"  // the fleet was retired with it, and takes no proxies
)
