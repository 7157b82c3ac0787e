// Package inbox holds what is put in until the one who waits for it takes it. Who puts
// something in waits for nobody.
package inbox

import "sync"

// An Inbox is one, without bound. Create it with New; it is safe for use by several
// goroutines.
type Inbox[T any] struct {
	mu    sync.Mutex
	all   []T
	ready chan struct{}
}

// New makes an empty one.
func New[T any]() *Inbox[T] { return &Inbox[T]{ready: make(chan struct{}, 1)} }

// Ready has a token while there is something to take.
func (i *Inbox[T]) Ready() <-chan struct{} { return i.ready }

// Put puts something in.
func (i *Inbox[T]) Put(one T) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.all = append(i.all, one)
	select {
	case i.ready <- struct{}{}:
	default:
	}
}

// Take takes all that there is, in the order in which it was put in.
func (i *Inbox[T]) Take() []T {
	i.mu.Lock()
	defer i.mu.Unlock()
	taken := i.all
	i.all = nil
	return taken
}

// Len is how much there is to take.
func (i *Inbox[T]) Len() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.all)
}
