package xds

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// With -hostile 20000 the attacks are as large as the limits are made for, and these the defaults.
var hostile = flag.Int("hostile", 0, "streams of a hostile client")

// besieged is a server with honest proxies, beside which somebody attacks it.
type besieged struct {
	*Server
	t       *testing.T
	address string
	done    chan struct{}

	mu     sync.Mutex
	target *snapshot.Snapshot
	served map[string]string // by node: the ID of what it serves
	turn   chan struct{}     // closed when there is more of it
}

func besiege(t *testing.T, limits Limits) *besieged {
	t.Helper()
	if l, err := net.ListenTCP("tcp", stranger); err != nil {
		t.Skip("this system has one loopback address only: ", err)
	} else {
		l.Close()
	}
	b := &besieged{Server: NewServer(slog.New(slog.DiscardHandler), limits), t: t, done: make(chan struct{}), served: map[string]string{}, turn: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = l.Addr().String()
	g := grpc.NewServer(b.Options()...)
	b.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(b.clients.Listener(l)) }()
	stop := make(chan struct{})
	go b.loop(stop)
	t.Cleanup(func() {
		g.Stop()
		<-served
		close(stop)
		<-b.done
	})
	return b
}

// loop is what internal/control is to it: everyone is given the target.
func (b *besieged) loop(stop chan struct{}) {
	defer close(b.done)
	for {
		select {
		case <-stop:
			return
		case <-b.Ready():
		}
		for _, e := range b.Events() {
			switch e.Kind {
			case Connected:
				b.give(e.ID())
			case Served:
				b.mu.Lock()
				b.served[e.ID()] = e.Revision.Live.String()
				close(b.turn)
				b.turn = make(chan struct{})
				b.mu.Unlock()
			case Disconnected, Rejected, HealthOpened, HealthClosed, Probed, Counted, Hushed:
			}
		}
	}
}

func (b *besieged) give(id string) {
	b.mu.Lock()
	target := b.target
	b.mu.Unlock()
	b.Assign(id, Target{Snapshot: target, Fleet: "edge", Home: "edge", Confirmed: true})
}

// push gives all a target, and returns how long it takes until so many honest proxies serve it.
func (b *besieged) push(target *snapshot.Snapshot, honest int) time.Duration {
	b.t.Helper()
	begun := time.Now()
	b.mu.Lock()
	b.target = target
	b.mu.Unlock()
	for i := range honest {
		b.give(fmt.Sprint("honest-", i))
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	for {
		b.mu.Lock()
		n, turn := 0, b.turn
		for node, id := range b.served {
			if id == target.ID && strings.HasPrefix(node, "honest-") {
				n++
			}
		}
		b.mu.Unlock()
		if n == honest {
			return time.Since(begun)
		}
		select {
		case <-turn:
		case <-ctx.Done():
			b.t.Fatalf("%d of %d honest proxies serve after %v: %+v", n, honest, time.Since(begun), b.Stats())
		}
	}
}

// attackers starts an attack, and returns when it is under way; stop ends it.
func (b *besieged) attackers(kind string, n int) (stop func()) {
	b.t.Helper()
	cmd := exec.Command(os.Args[0]) // this test; its input ends it
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", attackEnv, kind, b.address, n), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		in.Close()
		_ = cmd.Wait()
	})
	b.t.Cleanup(stop)
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n')
		line <- text
	}()
	select {
	case <-line:
	case <-time.After(90 * time.Second):
		b.t.Errorf("the attack is not under way: %+v", b.Stats())
	}
	return stop
}

func TestHostileClients(t *testing.T) {
	n, limits := 300, Limits{
		MaxStreams: 250, MaxClientStreams: 200, MaxClientRequests: 2000, MaxClientBytes: 8 << 20, MaxKeptBytes: 12 << 20, MaxNames: 5000,
		MaxClientUnread: 32 << 20, MaxUnread: 64 << 20, PushBudget: 2 << 20, MaxRequestBytes: 4 << 20, PushTimeout: time.Minute,
	}
	bound, lasts := 150.0, time.Second // MB
	if *hostile > 0 {
		n, bound, lasts = *hostile, 4000, 15*time.Second
		limits = Limits{
			MaxStreams: 20000, MaxClientStreams: 15000, MaxClientRequests: 60000, MaxClientBytes: 3 << 28, MaxKeptBytes: 1 << 30, MaxNames: 50000,
			PushBudget: 1 << 30, MaxRequestBytes: 4 << 20, PushTimeout: 2 * time.Minute,
		}
	}
	for _, kind := range []string{"streams", "metadata", "names", "deaf", "mute", "fast", "restless", "unfinished"} {
		t.Run(kind, func(t *testing.T) {
			const honest = 20
			b := besiege(t, limits)
			fleet, err := xdstest.NewFleet(honest, b.address, func(i int) xdstest.Config {
				return xdstest.Config{
					Node:  xdstest.Node(fmt.Sprint("honest-", i), "edge", nil),
					Names: map[string][]string{resource.ExtensionConfigType: {"auth"}},
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			defer fleet.Close()
			b.target = large(t, "0")
			if err := fleet.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.push(b.target, honest)
			calm := b.push(large(t, "1"), honest)
			tables, before := xdstest.Tables(b.Server), heapInUse()
			b.Stats() // it takes the locks that the tables were read without: what comes is after that
			peak := watchHeap()
			stop := b.attackers(kind, n)
			begun := time.Now()
			worst := time.Duration(0)
			for i := 0; i < 5 || time.Since(begun) < lasts; i++ {
				worst = max(worst, b.push(large(t, fmt.Sprint("under attack ", i)), honest))
			}
			held, figures := heapInUse(), b.Stats()
			stop()
			t.Logf("%d streams, %s: a push takes %v, and %v at worst beside it; the heap is %.0f MB, %.0f MB beside it, %.0f MB at most with what was not collected yet; %d streams, %d bytes kept, %d unread; refused %v",
				n, kind, calm.Round(time.Microsecond), worst.Round(time.Microsecond), before, held, peak(), figures.Streams, figures.Clients.Kept, figures.Clients.Unread, some(figures.Clients.Refused))
			if held > bound {
				t.Errorf("the heap is %.0f MB, and %.0f are the bound", held, bound)
			}
			if worst > 10*time.Second {
				t.Errorf("a push took %v", worst)
			}
			b.calmsDown(tables)
		})
	}
}

// calmsDown waits until nothing is left of an attack.
func (b *besieged) calmsDown(before map[string]int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	more := func() (out []string) {
		for path, n := range xdstest.Tables(b.Server) {
			if n > before[path]+50 { // who has gone is remembered for a minute, and what is in use grows
				out = append(out, fmt.Sprintf("%s: %d, and %d before", path, n, before[path]))
			}
		}
		return out
	}
	if !xdstest.Until(ctx, func() bool { s := b.Stats(); return s.Streams == 20 && s.Clients.Unread < 1<<20 && s.Events == 0 }) {
		b.t.Errorf("when it has ended: %+v", b.Stats())
	}
	if left := more(); len(left) > 0 {
		b.t.Errorf("when it has ended there is more than before: %v", left)
	}
	if kept := b.Stats().Clients.Kept; kept > 100<<10 {
		b.t.Errorf("when it has ended %d bytes are kept", kept)
	}
}

// watchHeap returns how many MB the heap has at most until that is asked.
func watchHeap() func() float64 {
	done, most := make(chan struct{}), make(chan float64)
	go func() {
		peak := 0.0
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, float64(m.HeapAlloc)/1e6)
			case <-done:
				tick.Stop()
				most <- peak
				return
			}
		}
	}()
	return func() float64 { close(done); return <-most }
}

// some are the counts that are not 0.
func some(counts map[string]int64) map[string]int64 {
	out := map[string]int64{}
	for name, n := range counts {
		if n > 0 {
			out[name] = n
		}
	}
	return out
}
