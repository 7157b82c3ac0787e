package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// pushTimeout is the server's here: short, so that proxies are cut off often.
const pushTimeout = 8 * time.Second

// shadowed is the filter's name in the shadow listener.
const shadowed = snapshot.ShadowPrefix + "auth"

// simulated is how a simulated proxy behaves at the moment.
type simulated struct {
	mu    sync.Mutex
	mood  mood
	until time.Time     // of a mood
	awake chan struct{} // closed when it ends early
	owes  bool          // it left something unanswered
}

type mood int

const (
	well    mood = iota
	slow         // answers filters only when the mood ends, and reads nothing until then
	silent       // does not answer filters
	refuses      // refuses the next module, once
)

func newSimulated() *simulated { return &simulated{awake: make(chan struct{})} }

func (s *simulated) set(m mood, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood, s.until = m, time.Now().Add(d)
}

// heal ends a mood, and says whether the proxy must be started anew for that.
func (s *simulated) heal() (owes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owes, s.owes, s.mood = s.owes, false, well
	close(s.awake)
	s.awake = make(chan struct{})
	return owes
}

var errRefused = errors.New("refused by a simulated proxy")

func (s *simulated) judge(r xdstest.Response) error {
	if r.TypeURL != resource.ExtensionConfigType || r.Bytes < fill { // what a shadow holds between rollouts has no module
		return nil
	}
	s.mu.Lock()
	m, left, awake := s.mood, time.Until(s.until), s.awake
	if m == refuses || left < 0 {
		s.mood = well
	}
	s.owes = s.owes || m == silent && left >= 0
	s.mu.Unlock()
	switch {
	case left < 0 || m == well:
		return nil
	case m == refuses:
		return errRefused
	case m == silent:
		return xdstest.ErrStall
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-awake:
	}
	return nil
}

// fault makes something go wrong.
func (w *world) fault() {
	faults := []struct {
		name   string
		weight int
		do     func()
	}{
		{"storms of disconnects", 4, func() { w.storm(0.05 + 0.45*w.random.Float64()) }},
		{"proxies that read nothing for a while", 3, func() { w.some(20, slow) }},
		{"proxies that never answer", 3, func() { w.some(5, silent) }},
		{"proxies that refuse", 1, func() { w.some(1, refuses) }},
		{"modules that are none", 2, func() { w.must(w.server.Save("filter.wasm", []byte("not a module"))) }},
		{"saves on top of each other", 2, func() { w.save(); w.save() }},
		{fmt.Sprintf("crowds of %d that were never seen, refuse and leave", manyStrangers), 2, w.strangers},
		{"Envoys killed", 1, w.killEnvoy},
	}
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	pick := w.random.IntN(total)
	for _, f := range faults {
		if pick -= f.weight; pick < 0 {
			w.counts[f.name]++
			f.do()
			return
		}
	}
}

// storm ends the streams of a part of the proxies; they come back by themselves.
func (w *world) storm(part float64) {
	var wg sync.WaitGroup
	for _, p := range w.fleet.Proxies {
		if w.random.Float64() < part {
			wg.Go(p.Close)
		}
	}
	wg.Wait()
}

func (w *world) some(n int, m mood) {
	for range n {
		w.proxies[w.random.IntN(len(w.proxies))].set(m, time.Second+time.Duration(w.random.Int64N(int64(15*time.Second))))
	}
}

func (w *world) killEnvoy() {
	if len(w.envoys) == 0 {
		return
	}
	i := w.random.IntN(len(w.envoys))
	w.envoys[i].Kill()
	w.must(w.startEnvoy(i))
}

// did says what was done.
func (w *world) did() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(w.counts)) {
		out = append(out, fmt.Sprintf("%d %s", w.counts[name], name))
	}
	return strings.Join(out, ", ")
}
