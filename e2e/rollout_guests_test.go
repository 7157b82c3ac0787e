package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// Proxies come, are killed and come back in mid-rollout. The canary stays the
// canary, also without what it had; the others get what the fleet serves.
func TestProxiesComeAndGoInRollout(t *testing.T) {
	t.Parallel()
	w, proxies, good := approvedWorld(t, 5)
	users := newCrowd(proxies)
	canary, rest := w.canaryOf(2, proxies)

	guest := w.startProxy("guest")
	guest.serves(good)
	guest.runs("x-build", build(1))
	rest[0].Kill()
	canary.Kill()
	canary.start()
	canary.runs("x-build", build(2))
	rest[0].start()
	rest[0].runs("x-build", build(1))
	if again, _ := w.awaiting(append(proxies, guest)); again != canary {
		t.Errorf("%s is the canary, and was %s", again.Node, canary.Node)
	}

	if err := w.command(api.VerbPromote); err != nil {
		t.Fatal(err)
	}
	rest[1].Kill() // while the second stage warms
	for _, p := range append(proxies, guest) {
		if p != rest[1] {
			p.runs("x-build", build(2))
		}
	}
	rest[1].start()
	rest[1].runs("x-build", build(2))
	w.servingRevision(len(proxies) + 1)
	for _, p := range append(proxies, guest) {
		p.guards()
	}
	users.end(t, "")
	mustEqual(t, "rejected revisions", w.count(api.EventRejected), 0)
}

// A newer save in mid-rollout takes the place of the one under way: what only the
// canary had, no other proxy is given.
func TestNewerSaveInRollout(t *testing.T) {
	t.Parallel()
	w, proxies, good := approvedWorld(t, 5)
	users := newCrowd(proxies)
	canary, rest := w.canaryOf(2, proxies)
	canary.runs("x-build", build(2))
	save(t, w.module, gate(t, 3))
	canary.runs("x-build", build(3))
	w.awaiting(proxies)
	for _, p := range rest {
		p.serves(good)
	}
	if err := w.command(api.VerbPromote); err != nil {
		t.Fatal(err)
	}
	for _, p := range proxies {
		p.runs("x-build", build(3))
	}
	w.servingRevision(len(proxies))
	users.end(t, "")
	for _, p := range rest {
		if users.met(p.Node, build(2)) {
			t.Errorf("users of %s met the build that was given up", p.Node)
		}
	}
	mustEqual(t, "revisions that were given up", w.count(api.EventAbandoned), 1)
}

// A pause outlasts a crash of the server: the stage does not end before a person
// says so, and then does.
func TestPauseOverRestart(t *testing.T) {
	t.Parallel()
	const bake = time.Second
	w, proxies := stagedWorld(t, 5, func(_ *world, o *fleetOptions) {
		o.Rollout = `{stages: [{name: canary, proxies: 1, bake: 1s}, {name: all, percent: 100}], prove: 300ms}`
	})
	w.servingRevision(len(proxies))
	users := newCrowd(proxies)
	await := w.happenings()
	save(t, w.module, gate(t, 2))
	await(api.EventBaking, "canary")
	if err := w.command(api.VerbPause); err != nil {
		t.Fatal(err)
	}
	w.candidateStored()
	w.crashServer()
	var confirmed time.Time
	w.eventually("the canary has been confirmed for longer than its bake", func() error {
		f, err := w.onlyFleet()
		if err != nil {
			return err
		}
		if f.Rollout == nil || !f.Rollout.Paused || f.Rollout.Stage != "canary" {
			t.Fatalf("the rollout went on: %+v", f.Rollout)
		}
		if f.Rollout.Phases[api.PhaseConfirmed] == 0 {
			confirmed = time.Time{}
		} else if confirmed.IsZero() {
			confirmed = time.Now()
		}
		if confirmed.IsZero() || time.Since(confirmed) < 2*bake {
			return fmt.Errorf("%+v", f.Rollout)
		}
		return nil
	})
	if err := w.command(api.VerbResume); err != nil {
		t.Fatal(err)
	}
	for _, p := range proxies {
		p.runs("x-build", build(2))
	}
	w.wentThrough(t, w.servingRevision(len(proxies)))
	users.end(t, "")
}
