package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// moderate answers at some length, but what one revision sends late, and another in a word.
func moderate(rw http.ResponseWriter, r *http.Request) {
	switch r.Header.Get("X-Revision") {
	case "slow":
		<-time.After(150 * time.Millisecond)
	case "short":
		return
	}
	_, _ = rw.Write([]byte(strings.Repeat("a word ", 2000)))
}

// What takes long, or is short, with a new revision only, is stopped at the canary: Envoys say how
// long requests take, and what they send.
func TestAnswersThatAreLateOrShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(http.HandlerFunc(moderate))
	const limits = ", limits: {min_requests: 5}"
	w.begins(w.sending("usual", limits, ""), gate(t, 1))
	proxies := w.proxies(2)
	for range 4 {
		stop := asking(proxies)
		defer stop()
	}
	w.flushes(7)
	for i, c := range []struct{ revision, reason string }{{"slow", "of its requests take"}, {"short", "bytes at most on average"}} {
		saved := time.Now()
		// On a busy machine it takes longer until five reports in a row show it.
		save(t, w.fleet, []byte(strings.Replace(string(w.sending(c.revision, limits, "")), "bake: 8s", "bake: 60s", 1)))
		r := w.rejection(i)
		t.Logf("rejected %s after the save: %s", r.At.Sub(saved).Round(time.Millisecond), r.Reason)
		if !strings.Contains(r.Reason, c.reason) {
			t.Errorf("rejected for %s", r.Reason)
		}
		w.flushes(7)
	}
	save(t, w.fleet, w.sending("as good", limits, ""))
	w.happened("serving", 4)
}
