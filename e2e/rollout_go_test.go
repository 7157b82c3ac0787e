package e2e

import (
	"strings"
	"testing"
	"time"
)

// Faults of a Go module, which an Envoy compiles for seconds, are found as those of
// the small ones are.
func TestBrokenGoFilterStopsInTheShadow(t *testing.T) {
	w := newWorld(t)
	w.NoPreflight = true
	w.unraced()
	write(t, w.fleet, w.fleetYAML(fleetOptions{
		Rollout: staged, Config: `{header: token, response_header: x-build}`,
		Checks: strings.ReplaceAll(checks, "432323", "323232"), // primeauth lets the former pass: it is prime
	}))
	write(t, w.module, primeauth(t, "A"))
	w.startServer()
	proxies := w.proxies(3)
	good := w.servingRevision(len(proxies))
	users := newCrowd(proxies)
	for i, f := range []struct{ how, want string }{{"crash", "gate #"}, {"allow", "gate #2"}} {
		ok := t.Run(f.how, func(t *testing.T) {
			module := brokenPrimeauth(t, f.how)
			saved := time.Now()
			save(t, w.module, module)
			r := w.rejection(i)
			t.Logf("rejected %d ms after the save: %s", r.At.Sub(saved).Milliseconds(), r.Reason)
			if !strings.Contains(r.Reason, "in its shadow listener") || !strings.Contains(r.Reason, f.want) {
				t.Errorf("it was rejected because %s", r.Reason)
			}
			for _, p := range proxies {
				p.serves(good)
			}
		})
		if !ok {
			break // the next would wait for the rejection of this one
		}
	}
	users.end(t, "")
}
