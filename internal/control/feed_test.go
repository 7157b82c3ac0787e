package control

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// told is what a subscriber is told at once.
func told(t *testing.T, f *feed, after string) (kinds []api.EventKind) {
	t.Helper()
	records, stop, err := f.subscribe(after)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for len(records) > 0 {
		kinds = append(kinds, (<-records).Kind)
	}
	return kinds
}

// nth is the kind of the nth record of filled.
func nth(n int) api.EventKind { return api.EventKind(strconv.Itoa(n)) }

func filled(began time.Time, n int) *feed {
	f := newFeed(began)
	for i := range n {
		f.put(api.Event{Kind: nth(i + 1)})
	}
	return f
}

// Who comes back goes on where they were: nothing twice, nothing left out.
func TestFeedGoesOn(t *testing.T) {
	f := filled(time.Now(), 5)
	records, stop, err := f.subscribe(f.id(3))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	f.put(api.Event{Kind: "6"})
	for number := 4; number <= 6; number++ {
		if r := <-records; r.Kind != nth(number) || r.ID != f.id(number) {
			t.Errorf("record %d is %+v", number, r)
		}
	}
	if got := told(t, f, ""); len(got) > 0 {
		t.Errorf("who is new is told of the past: %q", got)
	}
	if got := told(t, f, f.id(6)); len(got) > 0 {
		t.Errorf("who has seen all is told %q", got)
	}
}

// What is not kept any more, or was lost with the server before, is said to be missing.
func TestFeedSaysWhatIsMissing(t *testing.T) {
	for _, n := range []int{feedBuffer, 3 * feedBuffer} {
		f := filled(time.Now(), n)
		got := told(t, f, f.id(1))
		if kept := len(f.kept); kept != feedBuffer {
			t.Errorf("of %d records %d are kept", n, kept)
		}
		if last := got[len(got)-1]; last != nth(n) || (got[0] == api.EventMissed) != (n > len(f.kept)) {
			t.Errorf("of %d records: from %s to %s, %d are kept", n, got[0], last, len(f.kept))
		}
		if got[0] != api.EventMissed && len(got) != n-1 {
			t.Errorf("of %d records %d came", n, len(got))
		}
	}
	before, now := filled(time.UnixMilli(1), 9), filled(time.UnixMilli(2), 2)
	if got := told(t, now, before.id(9)); !slices.Equal(got, []api.EventKind{api.EventMissed, "1", "2"}) {
		t.Errorf("after a restart: %q", got)
	}
}

// A gap has an ID, too: who is cut off right behind it goes on from there.
func TestFeedGoesOnBehindAGap(t *testing.T) {
	f := filled(time.Now(), 3*feedBuffer)
	records, stop, err := f.subscribe(f.id(0))
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if again := told(t, f, (<-records).ID); len(again) != len(f.kept) || again[0] == api.EventMissed {
		t.Errorf("%d of %d records, the first %s", len(again), len(f.kept), again[0])
	}
}

func TestFeedKnowsItsIDs(t *testing.T) {
	f := filled(time.Now(), 1)
	for _, after := range []string{"x", "x-", "-", f.life + "--1", "7"} {
		if _, _, err := f.subscribe(after); !errors.Is(err, ErrNoRecord) {
			t.Errorf("%q: %v", after, err)
		}
	}
	if got := told(t, f, f.id(99)); len(got) > 0 {
		t.Errorf("behind a record that is yet to come: %q", got)
	}
}

// Nobody who is slow holds up what happens.
func TestFeedCutsOff(t *testing.T) {
	f := newFeed(time.Now())
	records, stop, err := f.subscribe("")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for range feedBuffer + 1 {
		f.put(api.Event{})
	}
	n := 0
	for range records {
		n++
	}
	if n != feedBuffer {
		t.Errorf("%d records before the cut", n)
	}
}
