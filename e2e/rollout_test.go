package e2e

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/bootstrap"
)

const (
	checks = `[{request: {headers: {token: "32323"}}, expect: {status: 200}}, {request: {headers: {token: "432323"}}, expect: {status: 403}}]`
	staged = `{stages: [{name: canary, proxies: 1, bake: 1s}, {name: all, percent: 100}]}`
	// straight goes to all proxies and waits for little; its deadline is for busy machines.
	straight = `{prove: 100ms, stages: [{name: all, percent: 100, bake: 0s, deadline: 60s}]}`
)

// stagedWorld is a fleet of proxies that serve build 1 of the small filter, with
// checks, one proxy before the others.
func stagedWorld(t *testing.T, n int, change ...func(*world, *fleetOptions)) (*world, []*proxy) {
	w := newWorld(t)
	o := fleetOptions{Rollout: staged, Checks: checks}
	for _, c := range change {
		c(w, &o)
	}
	w.begins(w.fleetYAML(o), gate(t, 1))
	return w, w.proxies(n)
}

// rejection waits until a revision is rejected, and returns why.
func (w *world) rejection(already int) api.Rejection {
	w.t.Helper()
	var last api.Rejection
	w.eventually("the revision is rejected", func() error {
		f, err := w.onlyFleet()
		if err == nil && len(f.Rejected) <= already {
			err = fmt.Errorf("it is not: %+v", f)
		}
		if err == nil {
			last = f.Rejected[already]
		}
		return err
	})
	return last
}

// rejects saves a module and waits until it is rejected, as some were already, and all proxies
// serve the good revision; wrong are the answers that users had meanwhile.
func (w *world) rejects(module []byte, already int, proxies []*proxy, good string) (r api.Rejection, wrong []string) {
	w.t.Helper()
	stop := users(proxies)
	save(w.t, w.module, module)
	r = w.rejection(already)
	for _, p := range proxies {
		p.serves(good)
	}
	return r, stop()
}

func (w *world) onlyFleet() (api.Fleet, error) {
	s, err := w.status()
	if err != nil || len(s.Fleets) != 1 {
		return api.Fleet{}, errors.Join(fmt.Errorf("%d fleets", len(s.Fleets)), err)
	}
	return s.Fleets[0], nil
}

// A good revision reaches the canary, then all, and no request notices.
func TestStagedRollout(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 5)
	stop := users(proxies)
	save(t, w.module, gate(t, 2))
	for _, p := range proxies {
		p.runs("x-build", build(2))
	}
	w.servingRevision(len(proxies))
	if wrong := stop(); len(wrong) > 0 {
		t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
	}
	var got []string
	for _, e := range w.history() {
		if e.Revision.Number == 2 {
			got = append(got, strings.TrimSpace(string(e.Kind)+" "+e.Stage))
		}
	}
	want := []string{
		"started", "stage started canary", "flipped canary", "baking canary",
		"stage started all", "flipped all", "baking all", "serving",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the history is %q, want %q", got, want)
	}
	for _, p := range proxies {
		mustEqual(t, "listeners of "+p.Node+" that were replaced", p.stat("listener_manager.listener_modified"), 0)
	}
}

// What loads and then misbehaves is found in the shadow listener of one proxy: no
// user's request is answered by it, on that proxy neither.
func TestBrokenFilterStopsInTheShadow(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"FAIL_CLOSED", "FAIL_OPEN"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			stopsInTheShadow(t, policy)
		})
	}
}

func stopsInTheShadow(t *testing.T, policy string) {
	w, proxies := stagedWorld(t, 5, func(w *world, o *fleetOptions) { w.NoPreflight, o.Policy = true, policy })
	good := w.servingRevision(len(proxies))
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			saved := time.Now()
			r, wrong := w.rejects(f.module(t), i, proxies, good)
			t.Logf("rejected %d ms after the save: %s", r.At.Sub(saved).Milliseconds(), r.Reason)
			if !strings.Contains(r.Reason, "in its shadow listener") {
				t.Errorf("it was rejected because %s", r.Reason)
			}
			if len(wrong) > 0 {
				t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
			}
		})
	}
	// It is not tried again after a crash of the server.
	w.crashServer()
	for _, p := range proxies {
		p.serves(good)
	}
	if f, err := w.onlyFleet(); err != nil || f.Candidate.ID != "" || len(f.Rejected) != len(faults) {
		t.Errorf("after a restart: %+v, %v", f, err)
	}
}

// What the sandbox can tell no proxy is given, in its shadow neither: one that
// loops would take a worker with it for ever.
func TestPreflightRefuses(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 5, func(w *world, _ *fleetOptions) { w.Flags = []string{"--preflight-call", "100ms"} })
	good := w.servingRevision(len(proxies))
	for _, c := range []struct {
		f    fault
		want string
	}{
		{fault{name: "loops", request: "(loop (br 0))"}, "100ms"},
		{fault{name: "traps", request: "unreachable"}, "unreachable"},
		{fault{name: "forbids all", request: "(return (call $deny))"}, "403"},
		{fault{name: "never ends", request: "(return (i32.const 1))"}, "pauses"},
		{fault{name: "is not configured", start: "(return (i32.const 0))"}, "configure"},
		{fault{name: "does not start", swap: [2]string{
			`(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))`,
			`(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 0))`,
		}}, "start"},
		{fault{name: "speaks another ABI", swap: [2]string{"proxy_abi_version_0_2_0", "proxy_abi_version_9_9_9"}}, "no Proxy-Wasm filter"},
		{fault{name: "wants what Envoy does not offer", swap: [2]string{`"env" "proxy_continue_stream"`, `"env" "proxy_frobnicate"`}}, "env.proxy_frobnicate"},
	} {
		t.Run(c.f.name, func(t *testing.T) { refusesInPreflight(t, w, proxies, good, c.f.module(t), c.want) })
	}
	whole := gate(t, 2)
	for _, c := range []struct {
		name, want string
		module     []byte
	}{
		{"empty", "the file is empty", nil},
		{"truncated", "cut short", whole[:len(whole)/2]},
		{"random", "not a WebAssembly module", []byte(rand.Text())},
	} {
		t.Run(c.name, func(t *testing.T) { refusesInPreflight(t, w, proxies, good, c.module, c.want) })
	}
}

func refusesInPreflight(t *testing.T, w *world, proxies []*proxy, good string, module []byte, want string) {
	t.Helper()
	save(t, w.module, module)
	w.problem(want)
	last := w.history()[len(w.history())-1]
	if last.Kind != api.EventRefusal || !strings.Contains(last.Reason, want) {
		t.Errorf("the history ends with %+v", last)
	}
	for _, p := range proxies {
		p.serves(good)
		p.guards()
		mustEqual(t, "refusals of "+p.Node, p.rejections(), 0)
	}
}

// A person pauses, resumes and undoes.
func TestRolloutCommands(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 2, func(_ *world, o *fleetOptions) {
		o.Rollout = `{stages: [{name: canary, proxies: 1, approve: manual}, {name: all, percent: 100}]}`
	})
	first := w.servingRevision(len(proxies))
	save(t, w.module, gate(t, 2))
	w.fleetIs("the canary waits for approval", func(f api.Fleet) bool { return f.Rollout != nil && f.Rollout.Awaiting })
	if err := w.command("promote"); err != nil {
		t.Fatal(err)
	}
	second := w.servingRevision(len(proxies))
	if second == first {
		t.Fatal("the same revision is served")
	}
	if err := w.command("undo"); err != nil {
		t.Fatal(err)
	}
	if back := w.servingRevision(len(proxies)); back != first {
		t.Errorf("%s is served, want %s", back, first)
	}
	for _, p := range proxies {
		p.runs("x-build", build(1))
	}
	if err := w.command("pause"); err == nil {
		t.Error("what is not under way was paused")
	}
}

func (w *world) command(verb api.Verb) error {
	return w.server.API.Do(w.t.Context(), api.Command{Verb: verb, By: "alice"})
}

// Without a shadow listener the canary's users meet a broken filter, and no one
// else's; and it is taken back within 2 s of the canary's ACK.
func TestBrokenFilterWithoutShadow(t *testing.T) {
	t.Parallel()
	w, proxies := stagedWorld(t, 5, func(w *world, o *fleetOptions) { w.NoPreflight, o.NoShadow = true, true })
	good := w.servingRevision(len(proxies))
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			r, wrong := w.rejects(f.module(t), i, proxies, good)
			for _, one := range wrong {
				if !strings.HasPrefix(one, r.Node+": ") {
					t.Errorf("%s was the canary, and %s", r.Node, one)
				}
			}
			for _, e := range w.history() {
				if e.Kind == api.EventFlipped && e.Revision.ID == r.ID {
					t.Logf("rejected %d ms after the flip: %s", r.At.Sub(e.At).Milliseconds(), r.Reason)
				}
			}
		})
	}
}

// A proxy without abstract Unix sockets has its shadow listeners on loopback.
func TestShadowOnLoopback(t *testing.T) {
	t.Parallel()
	w := begun(t, fleetOptions{Rollout: staged, Checks: checks}, gate(t, 1))
	shadow := freeAddresses(t, 16)
	p := w.startProxy("edge-0", func(o *bootstrap.Options) { o.Shadow = shadow })
	p.serves(w.servingRevision(1))
	p.guards()
	listeners, err := w.get("http://" + p.admin + "/listeners")
	if err != nil || !strings.Contains(listeners, "waxwing.shadow/ingress::"+shadow) {
		t.Errorf("the listeners are\n%s%v", listeners, err)
	}
}

// A proxy that can give no evidence but its ACKs is served all the same, and the
// status says what is missing.
func TestProxyWithoutEvidence(t *testing.T) {
	t.Parallel()
	w := begun(t, fleetOptions{Rollout: staged, Checks: checks}, gate(t, 1))
	p := w.startProxy("edge-0", func(o *bootstrap.Options) { o.NoEvidence = true })
	p.serves(w.servingRevision(1))
	s, err := p.statusOf()
	if err != nil || !slices.Equal(s.Missing, []string{"health discovery", "metrics"}) {
		t.Errorf("missing: %v, %v", s.Missing, err)
	}
}
