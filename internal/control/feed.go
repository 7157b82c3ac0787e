package control

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// feedBuffer is how many records a subscriber may be behind, and how many are kept for
// one that comes back.
const feedBuffer = 1024

// A feed passes records, each an api.Event, on to who follows along. It numbers them, so
// that a follower who was cut off, or whose connection was, goes on where it was. The
// numbers begin anew with the server: life tells its records from those of the one before.
type feed struct {
	mu   sync.Mutex
	life string
	last int // the number of the newest record
	// kept are the newest records: number n stands at (n-1) % feedBuffer. Each proxy of ten
	// thousand leaves several, which nobody may follow, so that none is copied or named
	// until somebody does.
	kept        []api.Event
	subscribers map[chan api.Event]bool
}

func newFeed(began time.Time) *feed {
	return &feed{life: strconv.FormatInt(began.UnixMilli(), 36), subscribers: map[chan api.Event]bool{}}
}

// ErrNoRecord is that what should be the ID of a record is none.
var ErrNoRecord = errors.New("not the ID of an event")

// subscribe begins behind a record, with the next one where after is "".
func (f *feed) subscribe(after string) (<-chan api.Event, func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	missed, err := f.since(after)
	if err != nil {
		return nil, nil, err
	}
	ch := make(chan api.Event, feedBuffer+len(missed))
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
func (f *feed) since(after string) ([]api.Event, error) {
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
	gap := api.Event{Time: time.Now(), Kind: api.EventMissed, ID: f.id(oldest), Message: "some events are missing here: " + why + "; `xds rollout history` has those of rollouts"}
	all := f.behind(oldest)
	if len(all) > 0 {
		gap.Time = all[0].Time
	}
	return append([]api.Event{gap}, all...), nil
}

// behind are the kept records behind the one of a number.
func (f *feed) behind(number int) []api.Event {
	var out []api.Event
	for n := number + 1; n <= f.last; n++ {
		r := f.kept[(n-1)%feedBuffer]
		r.ID = f.id(n)
		out = append(out, r)
	}
	return out
}

func (f *feed) id(number int) string { return f.life + "-" + strconv.Itoa(number) }

func (f *feed) put(r api.Event) {
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
