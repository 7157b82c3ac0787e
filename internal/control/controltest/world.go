// Package controltest has the control loop run with nothing outside: its files, its state
// and its proxies are a test's, and time passes as the test wants it to. It is for tests.
package controltest

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
)

// A World is a running loop and what it has of the outside.
type World struct {
	*control.Control
	Source  *Source
	Store   *Store
	Proxies *Proxies
	Config  control.Config // of the next start

	t       *testing.T
	log     *Log
	records []api.Event
	stop    func() // ends the loop, and waits for it
}

// Run tells a story of a loop that runs, in a bubble whose time costs nothing. config may
// change what it runs with.
func Run(t *testing.T, config func(*control.Config), story func(*testing.T, *World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &World{t: t, Source: NewSource(), Store: NewStore(), Proxies: NewProxies(), log: &Log{}}
		w.Config = control.Config{Log: slog.New(slog.NewTextHandler(w.log, nil)), Source: w.Source, Store: w.Store, XDS: w.Proxies}
		if config != nil {
			config(&w.Config)
		}
		w.Start()
		defer func() {
			w.stop()
			for _, node := range w.Proxies.nodes() { // their tickers end with the bubble
				w.Proxies.Disconnect(node.GetId())
			}
			if t.Failed() {
				t.Logf("the loop's log:\n%s", w.Logged())
			}
		}()
		story(t, w)
	})
}

// Start starts the loop.
func (w *World) Start() {
	w.t.Helper()
	var err error
	if w.Control, err = control.New(w.Config); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	records, unsubscribe, err := w.Subscribe("")
	if err != nil {
		w.t.Fatal(err)
	}
	running.Go(func() {
		for {
			select {
			case r := <-records:
				w.records = append(w.records, r)
			case <-ctx.Done():
				return
			}
		}
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		unsubscribe()
	})
	synctest.Wait()
}

// Restart ends the loop and starts another over what it has saved. What is on disk is read
// anew, and the proxies come back with what they have.
func (w *World) Restart() {
	w.t.Helper()
	w.stop()
	w.Proxies.Events() // said to nobody
	files := w.Source.files
	w.Source.Events()
	w.Start()
	for _, node := range w.Proxies.nodes() {
		w.Proxies.Connect(node)
	}
	if len(files) > 0 {
		w.Save(files)
	}
}

// Stop ends the loop.
func (w *World) Stop() { w.stop() }

// Save saves fleet files together, and has what follows at once follow.
func (w *World) Save(files map[string]string) {
	w.Source.Save(files)
	synctest.Wait()
}

// Connect has proxies of the cluster come.
func (w *World) Connect(ids ...string) {
	for _, id := range ids {
		w.Proxies.Connect(Node(id, nil))
	}
	synctest.Wait()
}

// Proxy is one that has come, to look at.
func (w *World) Proxy(id string) *Proxy { return w.Proxies.proxies[id] }

// Now has some proxies do something else than before.
func (w *World) Now(how func(*Proxy), ids ...string) {
	for _, id := range ids {
		w.Proxies.with(id, how)
	}
}

// Pass lets time pass.
func (w *World) Pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// most is how many proxies a status has: more than a test has.
const most = 1000

// Status asks for it all.
func (w *World) Status() api.Status {
	w.t.Helper()
	status, err := w.Control.Status(w.t.Context(), most)
	if err != nil {
		w.t.Fatal(err)
	}
	return status
}

// Fleet is what the status says of one.
func (w *World) Fleet(name string) api.Fleet {
	w.t.Helper()
	return named(w.t, "fleet", name, w.Status().Fleets, func(f api.Fleet) string { return f.Fleet })
}

// Node is what the status says of a proxy.
func (w *World) Node(id string) api.Proxy {
	w.t.Helper()
	return named(w.t, "proxy", id, w.Status().Proxies, func(p api.Proxy) string { return p.Node })
}

// named finds what has a name, which there must be.
func named[T any](t *testing.T, what, name string, all []T, nameOf func(T) string) T {
	t.Helper()
	i := slices.IndexFunc(all, func(one T) bool { return nameOf(one) == name })
	if i < 0 {
		t.Fatalf("there is no %s %s", what, name)
	}
	return all[i]
}

// Says are the messages of the records of a kind so far.
func (w *World) Says(kind api.EventKind) []string {
	synctest.Wait()
	var out []string
	for _, r := range w.records {
		if r.Kind == kind {
			out = append(out, r.Message)
		}
	}
	return out
}

// Logged is what the loop has logged.
func (w *World) Logged() string { return w.log.String() }

// A Log keeps what is logged, for a test to look at when it wants.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
