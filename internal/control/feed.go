package control

import (
	"sync"
	"time"
)

// A Record is something that happened, for people who follow along.
type Record struct {
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`
	Fleet    string    `json:"fleet,omitempty"`
	Revision string    `json:"revision,omitempty"` // the revision's ID
	Number   int       `json:"number,omitempty"`   // and its number
	Node     string    `json:"node,omitempty"`
	Stage    string    `json:"stage,omitempty"`
	By       string    `json:"by,omitempty"`
	Message  string    `json:"message,omitempty"`
	// Timings of a change, in the order in which they come to pass.
	Timings *Timings `json:"timings,omitempty"`
}

// The kinds of Record, besides those of rollout.Kind.
const (
	Noticed      = "noticed"      // a save was noticed and settled
	Connected    = "connected"    // a proxy
	Disconnected = "disconnected" // a proxy
	Warmed       = "warmed"       // a proxy has a revision in its shadow listeners
	Accepted     = "accepted"     // a proxy runs a revision
	Problem      = "problem"      // something on disk can't be served
	Healed       = "healed"       // and now can
	Unsaved      = "unsaved"      // the state directory does not take a fleet's state
	Saved        = "saved"        // and now does
)

// Timings are the moments of a change.
type Timings struct {
	Noticed  time.Time `json:"noticed"`           // the first sign of the save
	Settled  time.Time `json:"settled"`           // the files were left alone and read
	Built    time.Time `json:"built"`             // inspected, and made into a snapshot
	Pushed   time.Time `json:"pushed,omitzero"`   // handed to the first proxies' streams; of Warmed, to this one's
	Flipped  time.Time `json:"flipped,omitzero"`  // handed to their real listeners
	Accepted time.Time `json:"accepted,omitzero"` // a proxy said so
}

// feedBuffer is how many records a subscriber may be behind.
const feedBuffer = 1024

type feed struct {
	mu          sync.Mutex
	subscribers map[chan Record]bool
}

func newFeed() *feed { return &feed{subscribers: map[chan Record]bool{}} }

func (f *feed) subscribe() (<-chan Record, func()) {
	ch := make(chan Record, feedBuffer)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers[ch] = true
	return ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subscribers, ch)
	}
}

func (f *feed) put(r Record) {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for ch := range f.subscribers {
		select {
		case ch <- r:
		default:
			delete(f.subscribers, ch)
			close(ch)
		}
	}
}
