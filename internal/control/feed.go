package control

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
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
	// ID names the record, for who goes on behind it; see Subscribe.
	ID string `json:"id,omitempty"`
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
	Missed       = "missed"       // a follower comes back after more than is kept
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

// feedBuffer is how many records a subscriber may be behind, and how many are kept for
// one that comes back.
const feedBuffer = 1024

// A feed passes records on to who follows along. It numbers them, so that a follower who
// was cut off, or whose connection was, goes on where it was. The numbers begin anew with
// the server: life tells its records from those of the one before.
type feed struct {
	mu   sync.Mutex
	life string
	last int // the number of the newest record
	// kept are the newest records: number n stands at (n-1) % feedBuffer. Each proxy of ten
	// thousand leaves several, which nobody may follow, so that none is copied or named
	// until somebody does.
	kept        []Record
	subscribers map[chan Record]bool
}

func newFeed(began time.Time) *feed {
	return &feed{life: strconv.FormatInt(began.UnixMilli(), 36), subscribers: map[chan Record]bool{}}
}

// ErrNoRecord is that what should be the ID of a record is none.
var ErrNoRecord = errors.New("not the ID of an event")

// subscribe begins behind a record, with the next one where after is "".
func (f *feed) subscribe(after string) (<-chan Record, func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	missed, err := f.since(after)
	if err != nil {
		return nil, nil, err
	}
	ch := make(chan Record, feedBuffer+len(missed))
	for _, r := range missed {
		ch <- r
	}
	f.subscribers[ch] = true
	return ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subscribers, ch)
	}, nil
}

// since are the records behind one. It begins with one of the kind Missed where there
// were more, which are not kept or were another server's.
func (f *feed) since(after string) ([]Record, error) {
	if after == "" {
		return nil, nil
	}
	life, text, _ := strings.Cut(after, "-")
	number, err := strconv.Atoi(text)
	if err != nil || number < 0 {
		return nil, fmt.Errorf("%q is %w", after, ErrNoRecord)
	}
	oldest := f.last - len(f.kept) // the number before it
	if life == f.life && number >= oldest {
		return f.behind(number), nil
	}
	why := "only the newest are kept"
	if life != f.life {
		why = "the server was restarted"
	}
	gap := Record{Time: time.Now(), Kind: Missed, ID: f.id(oldest), Message: "some events are missing here: " + why + "; `xds rollout history` has those of rollouts"}
	all := f.behind(oldest)
	if len(all) > 0 {
		gap.Time = all[0].Time
	}
	return append([]Record{gap}, all...), nil
}

// behind are the kept records behind the one of a number.
func (f *feed) behind(number int) []Record {
	var out []Record
	for n := number + 1; n <= f.last; n++ {
		r := f.kept[(n-1)%feedBuffer]
		r.ID = f.id(n)
		out = append(out, r)
	}
	return out
}

func (f *feed) id(number int) string { return f.life + "-" + strconv.Itoa(number) }

func (f *feed) put(r Record) {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	if len(f.kept) < feedBuffer {
		f.kept = append(f.kept, r)
	} else {
		f.kept[(f.last-1)%feedBuffer] = r
	}
	if len(f.subscribers) > 0 {
		r.ID = f.id(f.last)
	}
	for ch := range f.subscribers {
		select {
		case ch <- r:
		default:
			delete(f.subscribers, ch)
			close(ch)
		}
	}
}
