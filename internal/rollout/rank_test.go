package rollout

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// firstOf is who of a hundred proxies a salt has first, of stages of three.
func firstOf(salt string) []string {
	f := &Fleet{}
	f.SetSalt(salt)
	return canaries(f)
}

func canaries(f *Fleet) []string {
	now := time.Unix(0, 0)
	plan := Plan{Stages: []Stage{{Name: "three", Proxies: 3}, {Name: "all", Percent: 100}}}
	f.Serving = Revision{ID: "one", Number: 1}
	for i := range 100 {
		f.Step(Joined{Node: fmt.Sprint("edge-", i)}, now)
	}
	f.Step(Offered{ID: "two", Plan: plan}, now)
	return members(f)
}

func members(f *Fleet) (out []string) {
	for node := range f.Rollout.Members {
		out = append(out, node)
	}
	slices.Sort(out)
	return out
}

// Who is the canary goes by the salt, and is the same for each revision.
func TestRanksGoByTheSalt(t *testing.T) {
	if a, again := firstOf("a"), firstOf("a"); len(a) != 3 || !slices.Equal(a, again) {
		t.Errorf("%v, and with the same salt %v", a, again)
	}
	seen := map[string]bool{}
	for i := range 20 {
		seen[fmt.Sprint(firstOf(fmt.Sprint("salt ", i)))] = true
	}
	if len(seen) < 15 {
		t.Errorf("20 salts have the same proxies first: %v", seen)
	}
}

// Who knows all ids and has tried millions of others, with every salt but the right one, is
// first no more often than anyone.
func TestCanaryCantBeChosen(t *testing.T) {
	first := 0
	for i := range 200 {
		salt := fmt.Sprint("secret ", i)
		best := rankBy("", "mine-0") // an id that is lower than nearly all without a salt
		id := "mine-0"
		for n := range 2000 {
			if r := rankBy("", fmt.Sprint("mine-", n)); r < best {
				best, id = r, fmt.Sprint("mine-", n)
			}
		}
		lowest := true
		for n := range 9 {
			lowest = lowest && rankBy(salt, id) < rankBy(salt, fmt.Sprint("edge-", n))
		}
		if lowest {
			first++
		}
	}
	if first > 45 { // one in ten is 20; more than 45 of 200 come by chance once in ten million times
		t.Errorf("it is the canary in %d of 200 fleets of ten", first)
	}
}

// A rollout that began without a salt goes on without, also over a restart; the next one is salted.
func TestRolloutUnderWayKeepsItsRanks(t *testing.T) {
	unsalted := firstOf("")
	f := &Fleet{}
	if got := canaries(f); !slices.Equal(got, unsalted) {
		t.Fatalf("%v, want %v", got, unsalted)
	}
	restored := f.Copy()
	restored.SetSalt("a")
	now := time.Unix(1, 0)
	for i := range 100 {
		restored.Step(Joined{Node: fmt.Sprint("edge-", i)}, now)
	}
	if got := members(&restored); !slices.Equal(got, unsalted) {
		t.Errorf("after the restart its stage is %v, want %v", got, unsalted)
	}
	for _, node := range append(unsalted, "edge-7") { // who is taken next
		if restored.rank(node) != f.rank(node) {
			t.Errorf("after the restart %s has another rank", node)
		}
	}
	restored.Rollout = nil
	restored.Step(Offered{ID: "three", Plan: Plan{Stages: []Stage{{Name: "three", Proxies: 3}, {Name: "all", Percent: 100}}}}, now)
	if got, want := members(&restored), firstOf("a"); !slices.Equal(got, want) {
		t.Errorf("the next one's stage is %v, want %v", got, want)
	}
}
