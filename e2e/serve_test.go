package e2e

import (
	"testing"
)

// variants runs a test with delta and, beside it, with state-of-the-world proxies.
func variants(t *testing.T, test func(t *testing.T, sotw bool)) {
	for name, sotw := range map[string]bool{"delta": false, "sotw": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, sotw)
		})
	}
}

// worlds runs a test in a world of the one and, beside it and other tests, in one of the
// other.
func worlds(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	inTurn(t, test)
}

// inTurn does the same, beside no other test, for one that holds an answer against the clock.
func inTurn(t *testing.T, test func(t *testing.T, w *world)) {
	variants(t, func(t *testing.T, sotw bool) {
		w := newWorld(t)
		w.Variant = sotw
		test(t, w)
	})
}

// shadowed runs a test in a world of each variant with shadow listeners and, beside it, in one without.
func shadowed(t *testing.T, test func(t *testing.T, w *world, noShadow bool)) {
	t.Parallel()
	variants(t, func(t *testing.T, sotw bool) {
		for name, noShadow := range map[string]bool{"shadow": false, "no shadow": true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.Variant = sotw
				test(t, w, noShadow)
			})
		}
	})
}

// The README's two requests, with the real filter, on three proxies.
func TestPrimeauth(t *testing.T) {
	w := begunGo(t, fleetOptions{Config: `{header: token, remove_header: true, allow_paths: [/healthz]}`}, primeauth(t, "A"))
	for _, p := range w.proxies(3) {
		p.guards()
		// What the shadow listener proved the real one took over: nothing was made twice.
		mustEqual(t, "VMs that were made", p.stat("wasm.envoy.wasm.runtime.v8.created"), madeOfOne)
		p.wants(200, welcome, "token", "18446744073709551557") // the largest prime of 64 bits
		p.wants(403, forbidden, "token", "18446744073709551615")
		p.wants(403, forbidden, "token", "7", "token", "7") // given twice
		p.wants(200, welcome, "ToKeN", "7")
		a, err := p.ask("token", "7")
		if err != nil || a.Header.Get("X-Token-Seen") != "false" {
			t.Errorf("the service saw the token: %+v, %v", a, err)
		}
		mustEqual(t, "allowed requests counted", p.stat("wasmcustom.primeauth.allowed"), 4)
		mustEqual(t, "requests without a token counted", p.stat("wasmcustom.primeauth.denied.missing"), 1)
	}
}
