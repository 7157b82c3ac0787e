package xds

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// siege is a proxy, the servers that it comes to one after another, and what of its real
// listeners may go.
type siege struct {
	t      *testing.T
	seed   uint64
	r      *rand.Rand
	h      *harness
	p      *xdstest.Proxy
	mu     sync.Mutex
	naught bool // it refuses the next set of listeners

	revisions map[string][]*snapshot.Snapshot // by fleet
	home      string
	good      *snapshot.Snapshot // what its home gave it last that was confirmed
	last      Target
	owners    map[string]string // of its listeners: whose target brought it, as far as this server knows
	removed   int
	kept      int
}

// fortress are fleets whose revisions have some of their listeners, and one of a name and
// content that all have.
func fortress(t *testing.T) map[string][]*snapshot.Snapshot {
	out := map[string][]*snapshot.Snapshot{}
	for i, fleet := range []string{"a", "b", "c"} {
		for _, has := range []string{"0", "01", "012", "2", "1s", "s", "02s"} {
			var list []string
			for _, c := range has {
				if c == 's' {
					list = append(list, "shared:900")
				} else {
					list = append(list, fmt.Sprintf("%s%c:%d", fleet, c, 100+10*i+int(c-'0')))
				}
			}
			out[fleet] = append(out[fleet], listeners(t, list...))
		}
	}
	return out
}

// Whatever a proxy is assigned, of whatever fleet, confirmed or not, over reconnects and
// restarts of the server and with sets that it refuses: a real listener goes only where a
// confirmed revision of its own fleet, or of the proxy's, lacks it.
func TestNoListenerGoesWithoutLicence(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		revisions := fortress(t)
		removed, kept := 0, 0
		for seed := range uint64(40) {
			s := &siege{
				t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 1)), revisions: revisions, home: "a", owners: map[string]string{},
			}
			s.p = xdstest.New(xdstest.Config{
				Node: xdstest.Node("p", "edge", nil), SotW: sotw, Judge: s.judge,
				Names: map[string][]string{resource.ExtensionConfigType: {"auth"}},
			})
			t.Run(fmt.Sprint(seed), func(t *testing.T) { s.t = t; s.run(30) })
			removed, kept = removed+s.removed, kept+s.kept
		}
		t.Logf("listeners removed with a licence: %d; kept without: %d", removed, kept)
		if removed < 100 || kept < 100 {
			t.Errorf("the wall was not tried: %d removed, %d kept", removed, kept)
		}
	})
}

func (s *siege) judge(r xdstest.Response) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.naught && r.TypeURL == resource.ListenerType {
		s.naught = false
		return errBad
	}
	return nil
}

func (s *siege) run(steps int) {
	s.come()
	for range steps {
		switch s.r.IntN(8) {
		case 0:
			s.p.Close()
			s.come()
		case 1:
			s.mu.Lock()
			s.naught = true
			s.mu.Unlock()
			s.assign()
			s.mu.Lock()
			s.naught = false
			s.mu.Unlock()
		default:
			s.assign()
		}
	}
	s.p.Close()
}

// come has the proxy connect to a new server, which knows nothing but its home.
func (s *siege) come() {
	if s.h != nil {
		s.h.conn.Close()
	}
	s.h = serve(s.t, Limits{})
	s.owners = map[string]string{}
	s.last = Target{}
	s.h.connect(s.p)
	for s.h.next().Kind != Connected {
	}
	s.assign()
}

// assign gives the proxy a target, waits until it has taken it as far as it does, and
// looks at what it has lost.
func (s *siege) assign() {
	fleets := slices.Sorted(maps.Keys(s.revisions))
	fleet := s.home
	if s.r.IntN(3) == 0 {
		fleet = fleets[s.r.IntN(len(fleets))]
	}
	t := Target{Fleet: fleet, Home: s.home, Confirmed: s.r.IntN(2) == 0, Snapshot: s.revisions[fleet][s.r.IntN(len(s.revisions[fleet]))]}
	if s.last.Snapshot != nil && !s.last.Confirmed && s.last.Fleet != s.home && s.r.IntN(3) == 0 {
		t = s.last // it has proven it, and is of that fleet now
		t.Home, t.Confirmed, s.home = t.Fleet, true, t.Fleet
	}
	if s.good != nil {
		t.Before = []*snapshot.Snapshot{s.good}
	}
	before := s.has()
	s.h.Server.Assign("p", t)
	if t.Confirmed && t.Fleet == s.home {
		s.good = t.Snapshot
	}
	s.await()
	s.look(t, before)
	s.last = t
}

// await waits until the proxy has answered all that it is to be sent.
func (s *siege) await() {
	s.t.Helper()
	if !xdstest.Until(s.h.ctx, func() bool { return s.h.sessionOf("p").rests() }) {
		s.t.Fatalf("seed %d: the proxy does not come to rest", s.seed)
	}
	s.h.Events()
}

// sessionOf is the session of a proxy.
func (h *harness) sessionOf(id string) *session {
	p := h.Server.proxy(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[len(p.sessions)-1]
}

// rests is whether all that the proxy asks for waits for what is next.
func (s *session) rests() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, url := range []string{resource.ClusterType, resource.ListenerType, resource.ExtensionConfigType} {
		if st := s.types[url]; st == nil || !st.open || st.inFlight() {
			return false
		}
	}
	return true
}

func (s *siege) has() map[string]string {
	has := s.p.Has(resource.ListenerType)
	maps.DeleteFunc(has, func(name, _ string) bool { return strings.HasPrefix(name, snapshot.ShadowPrefix) })
	return has
}

func (s *siege) look(t Target, before map[string]string) {
	s.t.Helper()
	after := s.has()
	for name := range before {
		owner := s.owners[name]
		if owner == "" {
			owner = s.home
		}
		licensed := t.Confirmed && (t.Fleet == s.home || t.Fleet == owner)
		_, has := after[name]
		switch {
		case has && t.Snapshot.Get(resource.ListenerType, name) == nil:
			s.kept++
		case has:
		case !licensed:
			s.t.Fatalf("seed %d: %s of fleet %s is gone by a revision of %s (confirmed: %t, home: %s)", s.seed, name, owner, t.Fleet, t.Confirmed, s.home)
		default:
			s.removed++
		}
	}
	for name, version := range after {
		if before[name] != version {
			s.owners[name] = t.Fleet
		}
	}
	maps.DeleteFunc(s.owners, func(name, _ string) bool { _, has := after[name]; return !has })
}
