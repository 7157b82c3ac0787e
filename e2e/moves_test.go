package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// fleetsWorld is a folder of fleet files, in which edge.yaml serves two proxies.
func fleetsWorld(t *testing.T, change ...func(*world)) (*world, []*proxy) {
	t.Helper()
	w := newWorld(t)
	for _, c := range change {
		c(w)
	}
	return w, w.edges()
}

// edges are the two proxies of that.
func (w *world) edges() []*proxy {
	w.t.Helper()
	mkdir(w.t, filepath.Join(w.dir, "fleets"))
	write(w.t, w.file("edge"), w.fleetYAML(fleetOptions{Rollout: prompt, Checks: checks}))
	write(w.t, w.module, gate(w.t, 1))
	w.startServer()
	return w.proxies(2)
}

// retiresSoon has a fleet retired a moment after its file is gone.
func retiresSoon(w *world) { w.Flags = []string{"--retire-grace", "300ms"} }

func (w *world) file(name string) string { return filepath.Join(w.dir, "fleets", name+".yaml") }

// moduleFile writes another build of the small filter.
func (w *world) moduleFile(name string, module []byte) string {
	path := filepath.Join(w.dir, name+".wasm")
	write(w.t, path, module)
	return path
}

// canaries is a fleet file that claims one of the proxies of edge.
func (w *world) canaries(o fleetOptions) []byte {
	o.Name, o.Match, o.Rollout = "canaries", "{cluster: edge, id: edge-0}", prompt
	if o.Checks == "" {
		o.Checks = checks
	}
	return w.fleetYAML(o)
}

// isOf waits until a proxy is of a fleet, and of that alone.
func (p *proxy) isOf(fleet string) {
	p.w.t.Helper()
	p.is(p.Node+" is of "+fleet, func(s api.Proxy) bool { return s.Fleet == fleet && s.Arriving == "" && s.State == api.ProxyServing })
}

// isOfWith waits until a proxy is of a fleet, and runs this build of the small filter.
func (p *proxy) isOfWith(fleet string, n int) {
	p.w.t.Helper()
	p.isOf(fleet)
	p.runs("x-build", build(n))
}

// told waits until the history of a fleet has an entry of a kind, which names a proxy.
func (w *world) told(fleet string, kind api.EventKind, what string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("the history of %s says %q of %s", fleet, kind, what), func() error {
		entries, err := w.server.API.History(w.t.Context(), fleet)
		if err == nil && !slices.ContainsFunc(entries, func(e api.Entry) bool { return e.Kind == kind && strings.Contains(e.Reason, what) }) {
			err = fmt.Errorf("it has %+v", entries)
		}
		return err
	})
}

// A proxy that another file claims keeps what it runs until it has proven that fleet's
// revision, and is given back when the file is gone.
func TestClaimedProxy(t *testing.T) {
	t.Parallel()
	variants(t, func(t *testing.T, sotw bool) {
		w, proxies := fleetsWorld(t, retiresSoon, func(w *world) { w.Variant = sotw })
		l := w.startLoad(proxies, 2, "")
		// One that preflight refuses, and one that nobody can read, move nobody.
		bad := w.moduleFile("bad", fault{name: "forbids all", request: "(return (call $deny))"}.module(t))
		save(t, w.file("canaries"), w.canaries(fleetOptions{Module: bad}))
		w.problem("403")
		save(t, w.file("canaries"), []byte("fleet: canaries\nnonsense: 1\n"))
		w.problem("nonsense")
		proxies[0].isOf("edge")

		save(t, w.file("canaries"), w.canaries(fleetOptions{Module: w.moduleFile("other", gate(t, 101))}))
		proxies[0].isOfWith("canaries", 101)
		proxies[1].isOf("edge")
		w.told("canaries", api.EventMovedIn, "edge-0")
		w.told("edge", api.EventMovedOut, "edge-0")

		if err := os.Remove(w.file("canaries")); err != nil {
			t.Fatal(err)
		}
		proxies[0].isOfWith("edge", 1)
		w.told("canaries", api.EventRetired, "file is gone")
		w.told("canaries", api.EventMovedOut, "edge-0")
		w.told("edge", api.EventMovedIn, "edge-0")
		l.unharmed(t)
	})
}

// A proxy that can't take what it would have to stays where it was, and so it does after a
// restart of the server.
func TestClaimThatAProxyRefuses(t *testing.T) {
	t.Parallel()
	w, proxies := fleetsWorld(t, func(w *world) { w.NoPreflight = true })
	l := w.startLoad(proxies, 2, "")
	bad := w.moduleFile("bad", fault{name: "forbids all", request: "(return (call $deny))"}.module(t))
	save(t, w.file("canaries"), w.canaries(fleetOptions{Module: bad}))
	w.told("canaries", api.EventRejected, "in its shadow listener")
	w.told("edge", api.EventMoveRefused, "edge-0")
	proxies[0].isOf("edge")
	w.crashServer()
	for _, p := range proxies {
		p.isOfWith("edge", 1)
	}
	l.unharmed(t)
}

// The match of what is served is edited, there and back: the proxies go where it says,
// each with proof, and one that no fleet claims any more keeps what it runs until one does.
func TestMatchEdited(t *testing.T) {
	t.Parallel()
	w, proxies := fleetsWorld(t)
	o := fleetOptions{Module: w.moduleFile("other", gate(t, 101))}
	save(t, w.file("canaries"), w.canaries(o))
	proxies[0].isOf("canaries")
	l := w.startLoad(proxies, 2, "")
	first := string(w.canaries(o))
	second := strings.Replace(first, "edge-0", "edge-1", 1)
	save(t, w.file("canaries"), []byte(second))
	proxies[1].isOf("canaries")
	proxies[0].isOf("edge")
	proxies[1].runs("x-build", build(101))
	proxies[0].runs("x-build", build(1))
	w.told("canaries", api.EventMatchChanged, "edge-1")
	save(t, w.file("canaries"), []byte(first))
	proxies[0].isOf("canaries")
	proxies[1].isOf("edge")

	save(t, w.file("edge"), w.fleetYAML(fleetOptions{Rollout: prompt, Checks: checks, Match: "{cluster: elsewhere}"}))
	proxies[1].is("edge-1 is kept", func(s api.Proxy) bool { return s.State == api.ProxyKept })
	w.notice("edge", "no connected proxy matches it")
	w.notice("edge", "keep what they run")
	w.nobody("edge")
	proxies[1].runs("x-build", build(1))
	save(t, w.file("rest"), w.fleetYAML(fleetOptions{Name: "rest", Rollout: prompt, Checks: checks, Module: w.moduleFile("rest", gate(t, 102))}))
	proxies[1].isOfWith("rest", 102)
	l.unharmed(t)
}

// nobody has --wait say that what a fleet serves is served to nobody.
func (w *world) nobody(fleet string) {
	w.t.Helper()
	out, err := exec.Command(xdsPath, "rollout", "status", "--wait", "--timeout", "600ms", "--fleet", fleet, "--admin", w.admin).CombinedOutput()
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) || exit.ExitCode() != 7 || !strings.Contains(string(out), "it is not served: no proxy of fleet "+fleet+" is connected") {
		w.t.Errorf("--wait ends with %v and says %s", err, out)
	}
}

// The server is killed while a proxy is on its way: it goes on from there.
func TestMoveGoesOnAfterRestart(t *testing.T) {
	t.Parallel()
	w, proxies := fleetsWorld(t)
	l := w.startLoad(proxies, 2, "")
	canaries := w.canaries(fleetOptions{Module: w.moduleFile("other", gate(t, 101))})
	canaries = []byte(strings.Replace(string(canaries), "bake: 500ms", "bake: 3s", 1))
	save(t, w.file("canaries"), canaries)
	w.told("canaries", api.EventFlipped, "1 proxy")
	w.eventually("the flip is on the disk", func() error {
		state, err := os.ReadFile(filepath.Join(w.dir, "state", "fleets", "canaries.json"))
		if err == nil && !strings.Contains(string(state), `"released": true`) {
			err = errors.New("it is not")
		}
		return err
	})
	w.crashServer()
	s, err := proxies[0].statusOf()
	for err != nil {
		s, err = proxies[0].statusOf()
	}
	if s.Fleet != "edge" || s.Arriving != "canaries" {
		t.Errorf("after the restart it is of %q, on its way to %q", s.Fleet, s.Arriving)
	}
	proxies[0].isOfWith("canaries", 101)
	proxies[1].isOf("edge")
	l.unharmed(t)
}

// A fleet that is called something else in the same file is the same fleet: no proxy is
// sent anything, and what was there is there under the new name, after a restart too.
func TestFleetRenamed(t *testing.T) {
	t.Parallel()
	w, proxies := fleetsWorld(t)
	l := w.startLoad(proxies, 2, "")
	before := []int{proxies[0].updates(), proxies[1].updates()}
	renamed := func(name string) {
		save(t, w.file("edge"), w.fleetYAML(fleetOptions{Name: name, Rollout: prompt, Checks: checks}))
	}
	renamed("web")
	for i, p := range proxies {
		p.isOf("web")
		mustEqual(t, p.Node+": updates since the fleet was renamed", p.updates()-before[i], 0)
	}
	w.told("web", api.EventRenamed, "from edge to web")
	w.told("web", api.EventServing, "")
	w.endServer(syscall.SIGKILL)
	renamed("shop") // while no server runs
	w.startServer()
	for _, p := range proxies {
		p.isOf("shop")
	}
	save(t, w.module, gate(t, 2))
	for _, p := range proxies {
		p.runs("x-build", build(2))
	}
	renamed("edge") // in the rollout of the second revision
	for _, p := range proxies {
		p.isOf("edge")
	}
	w.eventually("the second revision is served", func() error {
		s, err := w.status()
		if err == nil && (len(s.Fleets) != 1 || s.Fleets[0].Serving.Number != 2) {
			err = fmt.Errorf("%+v", s.Fleets)
		}
		return err
	})
	l.unharmed(t)
}

// notice waits until the status says something of a fleet.
func (w *world) notice(fleet, what string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("the status says %q of %s", what, fleet), func() error {
		s, err := w.status()
		for _, f := range s.Fleets {
			if f.Fleet == fleet && slices.ContainsFunc(f.Notices, func(n string) bool { return strings.Contains(n, what) }) {
				return nil
			}
		}
		return errors.Join(fmt.Errorf("%+v", s.Fleets), err)
	})
}

// forgets asks to retire and to forget fleets, of which one has a file and one is retired.
func (w *world) forgets(served, retired string) {
	w.t.Helper()
	for _, command := range []struct {
		args []string
		want string
	}{
		{[]string{"list"}, retired + "   retired"},
		{[]string{"forget", served}, "is not retired"},
		{[]string{"forget", retired}, ""},
		{[]string{"retire", served}, ""},
		{[]string{"forget", served}, "has a file"},
	} {
		out, _ := exec.Command(xdsPath, append(append([]string{"fleet"}, command.args...), "--admin", w.admin)...).CombinedOutput()
		if !strings.Contains(string(out), command.want) || command.want == "" && len(out) > 0 {
			w.t.Errorf("xds fleet %v says %s", command.args, out)
		}
	}
}

// What is seldom meant is said: two files that claim the same proxies alike, one that no
// proxy is for; and which proxies a file would move, before it is saved.
func TestMovesAreSaidBeforehand(t *testing.T) {
	t.Parallel()
	w, proxies := fleetsWorld(t, retiresSoon)
	other := w.moduleFile("other", gate(t, 101))
	draft := filepath.Join(w.dir, "draft.yaml")
	write(t, draft, w.canaries(fleetOptions{Module: other}))
	out, err := exec.Command(xdsPath, "check", "--against", w.admin, draft).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "moves: 1 connected proxies of fleet edge to fleet canaries (edge-0)") {
		t.Errorf("xds check says %s%v", out, err)
	}

	save(t, w.file("twin"), w.fleetYAML(fleetOptions{Name: "twin", Rollout: prompt, Checks: checks, Module: other}))
	tie := w.file("twin") + ":2: fleet twin {cluster: edge} and " + w.file("edge") + ":2: fleet edge {cluster: edge} claim the same proxies"
	w.notice("twin", tie)
	w.nobody("twin")
	if s, err := w.status(); err != nil || strings.Contains(fmt.Sprint(s.Fleets), "no connected proxy matches it") {
		t.Errorf("both fleets match the proxies: %+v, %v", s.Fleets, err)
	}
	if !strings.Contains(w.log(), "claim the same proxies with equally many criteria") {
		t.Error("the log does not say so")
	}
	for _, p := range proxies {
		p.isOf("edge")
	}
	// A second file with the same fleet is an error, until the first is gone.
	save(t, w.file("again"), w.fleetYAML(fleetOptions{Name: "twin", Rollout: prompt, Checks: checks, Module: other}))
	w.eventually("both files are named", func() error {
		s, err := w.status()
		if want := w.file("again") + ":1: fleet \"twin\" is that of " + w.file("twin") + ":1 already"; err == nil && !strings.Contains(fmt.Sprint(s.Problems), want) {
			err = fmt.Errorf("%v, want %s", s.Problems, want)
		}
		return err
	})
	for _, name := range []string{"again", "twin"} {
		if err := os.Remove(w.file(name)); err != nil {
			t.Fatal(err)
		}
	}
	w.notice("twin", "it is retired since")
	w.forgets("edge", "twin")
	s, err := w.status()
	if err != nil || len(s.Fleets) != 1 || s.Fleets[0].Retired == nil || len(s.Problems) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, p := range proxies {
		p.runs("x-build", build(1))
	}
}

// What another fleet serves may be, to the byte, what the proxy runs already: it is proven
// all the same, and it is that fleet's then.
func TestClaimedByAFleetOfTheSameContent(t *testing.T) {
	t.Parallel()
	variants(t, func(t *testing.T, sotw bool) {
		w, proxies := fleetsWorld(t, retiresSoon, func(w *world) { w.Variant = sotw })
		l := w.startLoad(proxies, 2, "")
		before := proxies[1].updates()
		save(t, w.file("canaries"), w.canaries(fleetOptions{}))
		proxies[0].isOf("canaries")
		w.told("edge", api.EventMovedOut, "edge-0")
		if err := os.Remove(w.file("canaries")); err != nil {
			t.Fatal(err)
		}
		proxies[0].isOf("edge")
		mustEqual(t, "updates of the other proxy", proxies[1].updates()-before, 0)
		l.unharmed(t)
	})
}
