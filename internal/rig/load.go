package rig

import (
	"errors"
	"sync"
	"time"
)

// Pace is the time from one request of an asker to the next. A listener that is closed for
// a few milliseconds is met by some asker, and a world of five proxies leaves the processors
// to the worlds beside it, and to the proxies themselves.
const Pace = 4 * time.Millisecond

// An Asker sends a request, its ith, and says what was wrong with the answer. One whose
// error is ErrLeaves sends no more.
type Asker func(i int) error

// ErrLeaves is wrapped by the last error of an asker whose connection is gone.
var ErrLeaves = errors.New("asks no more")

// A Load is askers who ask again and again, beside one another, until it ends.
type Load struct {
	stop  chan struct{}
	ended sync.Once
	done  sync.WaitGroup

	mu      sync.Mutex
	figures Figures
	first   time.Time // that something went wrong
}

// Figures are what came of requests.
type Figures struct {
	Asked   int
	Wrong   []string      // what was wrong, in order
	Gap     time.Duration // from the first of these to the end of the last
	Longest time.Duration // that a request took
}

// StartLoad has them begin.
func StartLoad(askers ...Asker) *Load {
	l := &Load{stop: make(chan struct{})}
	for _, ask := range askers {
		l.done.Go(func() { l.work(ask) })
	}
	return l
}

func (l *Load) work(ask Asker) {
	tick := time.NewTicker(Pace)
	defer tick.Stop()
	for i := 0; ; i++ {
		began := time.Now()
		err := ask(i)
		if l.note(began, err); errors.Is(err, ErrLeaves) {
			return
		}
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
	}
}

func (l *Load) note(began time.Time, err error) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.figures.Asked++
	l.figures.Longest = max(l.figures.Longest, now.Sub(began))
	if err == nil {
		return
	}
	if len(l.figures.Wrong) == 0 {
		l.first = began
	}
	l.figures.Wrong = append(l.figures.Wrong, err.Error())
	l.figures.Gap = now.Sub(l.first)
}

// Figures are those since the last time that it was asked for them.
func (l *Load) Figures() Figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.figures
	l.figures = Figures{}
	return f
}

// End waits for the last answers, and returns the figures since the last time. Another End
// does nothing.
func (l *Load) End() Figures {
	l.ended.Do(func() { close(l.stop) })
	l.done.Wait()
	return l.Figures()
}
