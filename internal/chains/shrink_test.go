package chains

import (
	"slices"
	"testing"
)

// What fails is made as small as it can be: of a chain that fails where a certificate by
// SDS follows a cluster by EDS, these two are left.
func TestShrink(t *testing.T) {
	fails := func(c Chain) bool {
		eds := slices.IndexFunc(c.Steps, func(s Step) bool {
			return slices.ContainsFunc(s.Fleet.Clusters, func(c Cluster) bool { return c.Kind == EDS })
		})
		return eds >= 0 && slices.ContainsFunc(c.Steps[eds:], func(s Step) bool {
			return slices.ContainsFunc(s.Fleet.Listeners, func(l Listener) bool { return l.Cert != "" })
		})
	}
	shrunk := 0
	setting, _ := abstract(t)
	for seed := range uint64(90) {
		c := NewGenerator(seed).NewChain(seed, 8)
		if !fails(c) {
			continue
		}
		shrunk++
		small := Shrink(c, 10_000, fails)
		if !fails(small) {
			t.Fatalf("seed %d: what it was made of does not fail", seed)
		}
		if len(small.Steps) > 2 || len(small.names(t)) > 7 {
			t.Errorf("seed %d: it is left with\n%s", seed, small.text())
		}
		for i := range small.Steps {
			if _, err := small.Steps[i].Fleet.Render(setting); err != nil {
				t.Error(err)
			}
		}
	}
	if shrunk < 5 {
		t.Errorf("only %d chains had something to shrink", shrunk)
	}
}

// names are those that a chain has.
func (c Chain) names(t *testing.T) []string {
	t.Helper()
	return (&shrinker{Chain: c}).names()
}
