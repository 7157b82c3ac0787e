package chains

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"go.yaml.in/yaml/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// A claim is a fleet file: a fleet, its name and the zone that it is for; "" is all of them.
type claim struct {
	name  string
	zone  string
	fleet Fleet
}

// A site is all fleet files, by path.
type site map[string]claim

// of is the claim that has a proxy of a zone: the one with more criteria.
func (s site) of(zone string) claim {
	out := s["fleets/all.yaml"]
	for _, c := range s {
		if c.zone == zone {
			out = c
		}
	}
	return out
}

func (c claim) render(setting Setting) ([]byte, error) {
	for i, file := range setting.Modules {
		setting.Modules[i] = "../" + file // from the folder of fleets
	}
	text, err := c.fleet.Render(setting)
	if err != nil {
		return nil, err
	}
	var doc object
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	doc["fleet"], doc["match"] = c.name, object{"cluster": "edge"}
	if c.zone != "" {
		doc["match"] = object{"cluster": "edge", "labels": object{"zone": c.zone}}
	}
	return yaml.Marshal(doc)
}

const other = "fleets/other.yaml"

// move is a random change of what a fleet has, or of which proxies are of it. The first file
// stays: the one for all, which the proxies are of that the other does not claim.
func (g *Generator) move(s site) (string, site) {
	next := maps.Clone(s)
	all, second := s["fleets/all.yaml"], s[other]
	_, two := s[other]
	switch n := g.r.IntN(5); {
	case !two || n == 0 && g.chance(30):
		_, f := g.change(all.fleet)
		next[other] = claim{pick(g, []string{"second", g.name("fleet")}), pick(g, []string{"a", "b"}), f}
		return "another fleet claims", next
	case n == 0:
		second.zone = map[string]string{"a": "b", "b": "a"}[second.zone]
		next[other] = second
		return "the match is edited", next
	case n == 1:
		delete(next, other)
		return "a file is gone", next
	case n == 2:
		second.name = g.name("fleet")
		next[other] = second
		return "a fleet is renamed", next
	case n == 3:
		_, second.fleet = g.change(second.fleet)
		next[other] = second
		return "the second fleet changes", next
	default:
		_, all.fleet = g.change(all.fleet)
		next["fleets/all.yaml"] = all
		return "the first fleet changes", next
	}
}

// A movesWorld is a server of several fleets, and proxies of two zones.
type movesWorld struct {
	*simWorld
	zones       []string              // of each proxy
	transitions map[string]Transition // of each proxy
}

// startProxy starts a proxy of a zone.
func (w *movesWorld) startProxy(i int, zone string, sotw bool) error {
	node := simNode(i)
	node.Metadata.Fields["labels"] = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"zone": structpb.NewStringValue(zone)}})
	p, err := w.launch(xdstest.EnvoyConfig{Node: node, SotW: sotw, Drain: 5 * time.Second}, w.look)
	if err != nil {
		return err
	}
	w.proxies, w.zones = append(w.proxies, p), append(w.zones, zone)
	return nil
}

// look asks a proxy all there is to ask, by what it may answer itself.
func (w *movesWorld) look(p *simProxy) {
	w.stateMu.Lock()
	defer w.stateMu.Unlock()
	if t, ok := w.transitions[p.Node()]; ok {
		w.explains(t, p)
	}
}

// agrees waits until each proxy is of the fleet that is to have it, and serves it.
func (w *movesWorld) agrees(s site) (last error) {
	for range 1800 {
		if last = w.served(s); last == nil || strings.Contains(last.Error(), "rejected") {
			return last
		}
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // of a bubble
	}
	return last
}

func (w *movesWorld) served(s site) error {
	if w.files.Unsettled() {
		return errors.New("the save was not taken")
	}
	status, err := w.control.Status(context.Background(), len(w.proxies)+1)
	if err != nil {
		return err
	}
	if len(status.Problems) > 0 {
		return fmt.Errorf("rejected: %v", status.Problems)
	}
	for _, f := range status.Fleets {
		if f.Rollout != nil && f.Rollout.Awaiting {
			if err := w.control.Do(context.Background(), api.Command{Fleet: f.Fleet, Verb: rollout.Promote, By: "a test"}); err != nil && !errors.Is(err, control.ErrRefused) {
				return err
			}
		}
		if f.Problem != "" || len(f.Rejected) > 0 {
			return fmt.Errorf("rejected: fleet %s: %s %v", f.Fleet, f.Problem, f.Rejected)
		}
		if f.Pending || f.Rollout != nil {
			return fmt.Errorf("fleet %s is not served yet: %+v", f.Fleet, f.Rollout)
		}
	}
	for i, p := range w.proxies {
		want := s.of(w.zones[i])
		j := slices.IndexFunc(status.Proxies, func(q api.Proxy) bool { return q.Node == p.Node() })
		if j < 0 {
			return fmt.Errorf("%s is not connected", p.Node())
		}
		if q := status.Proxies[j]; q.Fleet != want.name || q.Arriving != "" || q.State != api.ProxyServing {
			return fmt.Errorf("%s is of %q, on its way to %q, %s; want %q", p.Node(), q.Fleet, q.Arriving, q.State, want.name)
		}
		if err := w.has(p, &want.fleet); err != nil {
			return fmt.Errorf("%s of %s: %w", p.Node(), want.name, err)
		}
	}
	return nil
}

// between sets what each proxy may answer from now on.
func (w *movesWorld) between(before, after site) {
	w.stateMu.Lock()
	defer w.stateMu.Unlock()
	for i, p := range w.proxies {
		b, a := before.of(w.zones[i]).fleet, after.of(w.zones[i]).fleet
		w.transitions[p.Node()] = Transition{&b, &a}
	}
}

// arrived has each proxy answer as its fleet does, and nothing else.
func (w *movesWorld) arrived(s site) {
	w.between(s, s)
	for _, p := range w.proxies {
		w.stateMu.Lock()
		p.fresh = false
		w.stateMu.Unlock()
		w.look(p)
	}
}

// save writes the files as they are to be, and removes those that are gone.
func (w *movesWorld) save(before, after site) error {
	w.between(before, after)
	for path, c := range after {
		text, err := c.render(w.setting)
		if err != nil {
			return err
		}
		w.files.save(path, text)
	}
	for path := range before {
		if _, stays := after[path]; !stays {
			w.files.remove(path)
		}
	}
	return nil
}

func playMoves(t *testing.T, seed uint64, setting Setting, modules [2][]byte) (err error) {
	t.Helper()
	w := &movesWorld{simWorld: newSimWorld(t, setting, modules, t.TempDir()), transitions: map[string]Transition{}}
	w.root = "fleets"
	if err := w.start(); err != nil {
		return err
	}
	g, noise := NewGenerator(seed), rand.New(rand.NewPCG(seed, 77))
	for i, zone := range []string{"a", "b", "b"} {
		if err := w.startProxy(i, zone, noise.IntN(2) == 0); err != nil {
			return err
		}
	}
	now := site{"fleets/all.yaml": {"edge", "", g.Fleet()}}
	before, what := now, "the first fleet"
	for step := range 7 {
		if err = w.save(before, now); err == nil {
			err = w.agrees(now)
		}
		if err != nil {
			err = fmt.Errorf("step %d (%s): %w", step, what, err)
			break
		}
		w.arrived(now)
		before = now
		what, now = g.move(now)
	}
	err = errors.Join(err, w.end())
	if err != nil && testing.Verbose() {
		t.Log(w.log.String())
	}
	return err
}

// Proxies that change fleets, because another file claims them, a match is edited, a file is
// gone or a fleet is renamed, end in serving the fleet that is to have them, and meanwhile
// answer what that or the one before explains.
func TestMoves(t *testing.T) {
	t.Parallel()
	setting, modules := abstract(t)
	for i := range max(1, *count/20) {
		seed := *seed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if err := playMoves(t, seed, setting, modules); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			})
		})
	}
}
