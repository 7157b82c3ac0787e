package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

const (
	checks = `[{request: {headers: {token: "32323"}}, expect: {status: 200}}, {request: {headers: {token: "432323"}}, expect: {status: 403}}]`
	staged = `{stages: [{name: canary, proxies: 1, bake: 1s}, {name: all, percent: 100}]}`
)

// stagedWorld is a fleet of proxies that serve build 1 of the small filter, with
// checks, one proxy before the others.
func stagedWorld(t *testing.T, n int, change ...func(*fleetOptions)) (*world, []*proxy) {
	w := newWorld(t)
	o := fleetOptions{Rollout: staged, Checks: checks}
	for _, c := range change {
		c(&o)
	}
	write(t, w.fleet, w.fleetYAML(o))
	write(t, w.module, gate(t, 1))
	w.startServer()
	return w, w.proxies(n)
}

func (w *world) history() []rollout.Entry {
	w.t.Helper()
	text, err := w.get("http://" + w.admin + "/v1/history")
	if err != nil {
		w.t.Fatal(err)
	}
	var entries []rollout.Entry
	if err := json.Unmarshal([]byte(text), &entries); err != nil {
		w.t.Fatal(err)
	}
	return entries
}

// rejection waits until a revision is rejected, and returns why.
func (w *world) rejection(already int) rollout.Rejection {
	w.t.Helper()
	var last rollout.Rejection
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

func (w *world) onlyFleet() (control.FleetStatus, error) {
	s, err := w.status()
	if err != nil || len(s.Fleets) != 1 {
		return control.FleetStatus{}, errors.Join(fmt.Errorf("%d fleets", len(s.Fleets)), err)
	}
	return s.Fleets[0], nil
}

// users ask each proxy all the time, until stop, which returns the wrong answers.
func users(proxies []*proxy) (stop func() []string) {
	var mu sync.Mutex
	var wrong []string
	var wg sync.WaitGroup
	done := make(chan struct{})
	for _, p := range proxies {
		wg.Go(func() {
			for {
				for token, status := range map[string]int{"32323": 200, "432323": 403} {
					a, err := p.ask("token", token)
					if err != nil || a.status != status {
						mu.Lock()
						wrong = append(wrong, fmt.Sprintf("%s: token %s: %d %v", p.Node, token, a.status, err))
						mu.Unlock()
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	return func() []string {
		close(done)
		wg.Wait()
		return wrong
	}
}

// A good revision reaches the canary, then all, and no request notices.
func TestStagedRollout(t *testing.T) {
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

// broken is the small filter with another answer to a request.
func broken(t *testing.T, body string) []byte {
	t.Helper()
	text := read(t, filepath.Join("testdata", "gate.wat"))
	mark := []byte(";; token → pointer at 8, size at 12")
	if !bytes.Contains(text, mark) {
		t.Fatal("gate.wat has no place for a fault")
	}
	dir := t.TempDir()
	source, out := filepath.Join(dir, "broken.wat"), filepath.Join(dir, "broken.wasm")
	write(t, source, bytes.Replace(text, mark, []byte(body), 1))
	if err := command(nil, "wat2wasm", source, "-o", out); err != nil {
		t.Fatal(err)
	}
	return read(t, out)
}

// What loads and then misbehaves is found in the shadow listener of one proxy: no
// user's request is answered by it, on that proxy neither.
func TestBrokenFilterStopsInTheShadow(t *testing.T) {
	w, proxies := stagedWorld(t, 5)
	good := w.servingRevision(len(proxies))
	rejected := 0
	for _, fault := range []struct{ name, body string }{
		{"traps", "unreachable"},
		{"forbids all", "(return (call $deny))"},
		{"allows all", "(return (i32.const 0))"},
		{"never ends", "(return (i32.const 1))"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			stop := users(proxies)
			save(t, w.module, broken(t, fault.body))
			r := w.rejection(rejected)
			rejected++
			if !strings.Contains(r.Reason, "in its shadow listener") {
				t.Errorf("it was rejected because %s", r.Reason)
			}
			for _, p := range proxies {
				p.serves(good)
			}
			if wrong := stop(); len(wrong) > 0 {
				t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
			}
		})
	}
	// It is not tried again after a crash of the server.
	w.endServer(syscall.SIGKILL)
	w.startServer()
	for _, p := range proxies {
		p.serves(good)
	}
	if f, err := w.onlyFleet(); err != nil || f.Candidate.ID != "" || len(f.Rejected) != rejected {
		t.Errorf("after a restart: %+v, %v", f, err)
	}
}

// A person pauses, resumes and undoes.
func TestRolloutCommands(t *testing.T) {
	w, proxies := stagedWorld(t, 2, func(o *fleetOptions) {
		o.Rollout = `{stages: [{name: canary, proxies: 1, approve: manual}, {name: all, percent: 100}]}`
	})
	first := w.servingRevision(len(proxies))
	save(t, w.module, gate(t, 2))
	w.eventually("the canary waits for approval", func() error {
		f, err := w.onlyFleet()
		if err == nil && (f.Rollout == nil || !f.Rollout.Awaiting) {
			err = fmt.Errorf("%+v", f.Rollout)
		}
		return err
	})
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

func (w *world) command(verb rollout.Verb) error {
	body, err := json.Marshal(control.Command{Verb: verb, By: "alice"})
	if err != nil {
		return err
	}
	resp, err := http.Post("http://"+w.admin+"/v1/commands", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return errors.New(resp.Status)
	}
	return nil
}
