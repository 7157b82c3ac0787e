package inbox

import (
	"slices"
	"sync"
	"testing"
)

// Nothing that is put in is lost, whoever takes it when, and all of one who puts in comes in
// its order.
func TestInbox(t *testing.T) {
	i, want := New[int](), 1000
	var all sync.WaitGroup
	all.Go(func() {
		for n := range want {
			i.Put(n)
		}
	})
	var got []int
	for len(got) < want {
		<-i.Ready()
		got = append(got, i.Take()...)
	}
	all.Wait()
	if !slices.IsSorted(got) || len(got) != want || i.Len() != 0 || i.Take() != nil {
		t.Errorf("%d came, and %d are left", len(got), i.Len())
	}
}
