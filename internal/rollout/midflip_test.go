package rollout

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A proxy whose flip lasts, and that answers its users otherwise meanwhile, has the change rejected
// long before its deadline, and while one proxy has it.
func TestAnswersAreHeardWhileAFlipLasts(t *testing.T) {
	for _, f := range faults {
		for i := range uint64(4) {
			bad := f.of(0.5)
			s := &simulated{r: rand.New(rand.NewPCG(i, 21)), proxies: 3, rate: 100, kind: "steady", fault: bad, denied: max(0.1, bad.opens), lasts: time.Hour}
			reason, after := s.run(defaults())
			if reason == "" || len(s.flippedAt) != 1 || after > 20*time.Second {
				t.Errorf("%s, %d: after %s, with %d proxies flipped: %q", f.what, i, after, len(s.flippedAt), reason)
			}
		}
	}
}

// A good change whose flips last is served, whatever goes on beside it.
func TestGoodChangesWhoseFlipsLastAreServed(t *testing.T) {
	for _, kind := range kinds {
		for i := range 4 {
			s := trial(i, 9, kind)
			s.lasts = 10 * time.Second
			if reason, after := s.run(defaults()); reason != "" {
				t.Errorf("%s, trial %d, %d proxies of %.0f requests a second: after %s: %s", kind, i, s.proxies, s.rate, after, reason)
			}
		}
	}
}
