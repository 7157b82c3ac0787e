package chains

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	_ "github.com/waxwing-xds/waxwing/internal/extensions" // every message of Envoy's API

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

var (
	count = flag.Int("chains", chainsByDefault, "chains that TestChains makes")
	seed  = flag.Uint64("seed", 1, "of the first chain; a failure names its own")
)

// TestMain has more chains run at once than there are processors: each waits for the disk
// most of the time, since what survives a restart is really written.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	m.Run()
}

var keys = sync.OnceValues(NewKeys)

// abstract is where nothing is: for simulated proxies, which open no port.
func abstract(t *testing.T) (Setting, [2][]byte) {
	t.Helper()
	k, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	modules, err := Modules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := Example()
	s.Content = k.Content
	return s, modules
}

// Every fleet and every change of the generator is a valid fleet file.
func TestFleetsAreValid(t *testing.T) {
	setting, _ := abstract(t)
	made := map[string]int{}
	for s := range uint64(60) {
		g := NewGenerator(s)
		g.Delta = true
		for i, step := range g.NewChain(s, 7).Steps {
			text, err := step.Fleet.Render(setting)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fleet.Parse("fleet.yaml", text); err != nil {
				t.Fatalf("seed %d, step %d (%s): %v\n%s%s", s, i, step.What, err, step.Fleet, text)
			}
			for _, what := range strings.Split(step.What, ", ") {
				made[what]++
			}
		}
	}
	for _, c := range changes {
		if made[c.name] == 0 {
			t.Errorf("the change %q is never made", c.name)
		}
	}
	t.Logf("made: %v", made)
}

// The same seed makes the same chain.
func TestSeed(t *testing.T) {
	render := func() (out []string) {
		for _, step := range NewGenerator(7).NewChain(7, 20).Steps {
			out = append(out, step.What+"\n"+step.Fleet.String())
		}
		return out
	}
	if a, b := render(), render(); !slices.Equal(a, b) {
		t.Errorf("seed 7 makes two chains:\n%s\n%s", a, b)
	}
}

// Each chain of changes ends in serving, on proxies that follow Envoy's rules, and
// meanwhile no request is answered with what the change does not explain.
func TestChains(t *testing.T) {
	t.Parallel()
	setting, modules := abstract(t)
	for i := range *count {
		seed := *seed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			chain := testChain(seed)
			err := playAlone(t, chain, setting, modules)
			if err == nil {
				return
			}
			small := Shrink(chain, 60, func(c Chain) bool {
				other := playAlone(t, c, setting, modules)
				return other != nil && Kind(other) == Kind(err)
			})
			report, wrong := small.Report(setting)
			t.Errorf("seed %d: %v\nTo see it again: go test ./internal/chains -run TestChains -chains 1 -seed %d -v\nMade smaller, it fails with %v:\n%s",
				seed, errors.Join(err, wrong), seed, playAlone(t, small, setting, modules), report)
		})
	}
}

// playAlone plays a chain in a bubble of its own.
func playAlone(t *testing.T, c Chain, setting Setting, modules [2][]byte) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { err = play(t, c, setting, modules) })
	return err
}

// testChain is the chain of a seed.
func testChain(seed uint64) Chain {
	g := NewGenerator(seed)
	g.Delta = seed%3 == 0
	c := g.NewChain(seed, 6)
	c.Noise = true
	return c
}
