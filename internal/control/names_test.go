package control_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/control/controltest"
)

// A named is what a file says: the fleet's name, and which proxy it is for, "" for all.
type named struct{ fleet, proxy string }

func (n named) yaml(port int) string {
	match := "match: {cluster: edge}"
	if n.proxy != "" {
		match = "match: {cluster: edge, id: " + n.proxy + "}"
	}
	return controltest.YAML(n.fleet, port, staged, match)
}

// claimants are the fleets that claim a proxy with the most criteria.
func claimants(files map[string]named, proxy string) []string {
	var own, all []string
	for _, f := range files {
		switch f.proxy {
		case proxy:
			own = append(own, f.fleet)
		case "":
			all = append(all, f.fleet)
		}
	}
	if len(own) > 0 {
		return own
	}
	return all
}

// A fleet whose name another file has, while its own file has another's and other content, has no file: it is
// retired, and until then the fleet that waits for its proxies says who has them.
func TestNamesHandedOn(t *testing.T) {
	for _, restart := range []bool{false, true} {
		controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
			w.Connect("p0")
			w.Save(map[string]string{"a.yaml": named{"alpha", ""}.yaml(1), "b.yaml": named{"beta", "p0"}.yaml(2)})
			w.Pass(time.Minute)
			mustServe(t, w, "p0", "beta", w.Fleet("beta").Serving)
			w.Save(map[string]string{"a.yaml": named{"gamma", ""}.yaml(3), "b.yaml": named{"alpha", "p0"}.yaml(4)})
			if restart {
				w.Restart()
			}
			w.Pass(10 * time.Second)
			if f := w.Fleet("beta"); f.File != "" || restart == strings.Contains(fmt.Sprint(f.Notices), "its file b.yaml has fleet alpha now: it is retired in 20s") {
				t.Errorf("beta has %q: %q", f.File, f.Notices)
			}
			alpha := w.Fleet("alpha")
			if said := alpha.Disk.Why + fmt.Sprint(alpha.Notices); !strings.Contains(said, "(p0)") || !strings.Contains(said, "fleet beta") {
				t.Errorf("nobody says who has its proxy: %q", said)
			}
			w.Pass(2 * time.Minute)
			if w.Fleet("beta").Retired == nil {
				t.Error("beta is not retired")
			}
			mustServe(t, w, "p0", "alpha", w.Fleet("alpha").Serving)
		})
	}
}

// A path that was missed, and is a folder then, is no problem any more: neither that of a folder of
// fleet files, nor that of a file that had a fleet.
func TestMissedNoMore(t *testing.T) {
	for _, was := range []string{"nothing", "a fleet"} {
		controltest.Run(t, nil, func(t *testing.T, w *controltest.World) {
			if was == "a fleet" {
				w.Save(map[string]string{"fleets": named{"alpha", ""}.yaml(1)})
			}
			w.Save(map[string]string{"fleets": controltest.Missed})
			if p := problems(w.Status()); len(p) != 1 || !strings.Contains(fmt.Sprint(p), "fleets: the fleet file does not exist") {
				t.Errorf("%s: problems: %q", was, p)
			}
			w.Save(map[string]string{"fleets": controltest.Gone})
			if p := problems(w.Status()); len(p) > 0 {
				t.Errorf("%s: problems: %q", was, p)
			}
			w.Save(map[string]string{"fleets/a.yaml": named{"alpha", ""}.yaml(1)})
			if f := w.Fleet("alpha"); f.File != "fleets/a.yaml" || len(problems(w.Status())) > 0 {
				t.Errorf("%s: alpha is of %q, problems: %q", was, f.File, problems(w.Status()))
			}
		})
	}
}

// problems are those of the files, and of the fleets.
func problems(s api.Status) []string {
	out := slices.Collect(maps.Values(s.Problems))
	for _, f := range s.Fleets {
		if f.Problem != "" {
			out = append(out, f.Problem)
		}
	}
	return out
}

// Whatever names go to whatever files, in one save or several, with restarts in between: in the
// end each name is of the file that says it, each other fleet is retired, each proxy is of a
// fleet that claims it, and who has none says who has them.
func TestNamesGoAnywhere(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			controltest.Run(t, func(c *control.Config) { c.Grace = 20 * time.Second }, func(t *testing.T, w *controltest.World) {
				h := handing{World: w, Rand: rand.New(rand.NewPCG(seed, 1)), files: map[string]named{}}
				w.Connect("p0", "p1", "p2")
				for range 4 {
					h.deal()
					w.Pass(time.Duration(h.IntN(40)) * time.Second)
				}
				w.Pass(5 * time.Minute)
				h.check(t)
			})
		})
	}
}

// handing hands names from file to file.
type handing struct {
	*controltest.World
	*rand.Rand
	files map[string]named
	port  int
}

// deal gives each file another name, or takes it away, in one save or one after the other.
func (h *handing) deal() {
	names := []string{"alpha", "beta", "gamma", "delta", "eps"}
	h.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	next, saves := map[string]named{}, map[string]string{}
	for i, path := range []string{"a.yaml", "b.yaml", "c.yaml"} {
		if h.IntN(5) == 0 {
			if _, there := h.files[path]; there {
				saves[path] = controltest.Gone
			}
			continue
		}
		next[path] = named{names[i], []string{"", "p0", "p1", "p2"}[h.IntN(4)]}
		if h.port += h.IntN(2); next[path] != h.files[path] {
			saves[path] = next[path].yaml(1 + h.port)
		}
	}
	h.save(saves, next)
	h.files = next
}

func (h *handing) save(saves map[string]string, next map[string]named) {
	if h.IntN(2) == 0 {
		h.Save(saves)
		h.maybeRestart()
		return
	}
	is := maps.Clone(h.files)
	for len(saves) > 0 { // no two files have a name at a time
		paths := slices.Sorted(maps.Keys(saves))
		i := slices.IndexFunc(paths, func(path string) bool {
			return saves[path] == controltest.Gone || !h.has(is, path, next[path].fleet)
		})
		if i < 0 {
			h.Save(map[string]string{paths[0]: controltest.Gone})
			delete(is, paths[0])
			continue
		}
		h.Save(map[string]string{paths[i]: saves[paths[i]]})
		if is[paths[i]] = next[paths[i]]; saves[paths[i]] == controltest.Gone {
			delete(is, paths[i])
		}
		delete(saves, paths[i])
		h.maybeRestart()
	}
}

// has is whether another file has a name.
func (h *handing) has(files map[string]named, but, name string) bool {
	for path, f := range files {
		if path != but && f.fleet == name {
			return true
		}
	}
	return false
}

func (h *handing) maybeRestart() {
	if h.IntN(3) == 0 {
		h.Restart()
	}
	h.Pass(time.Duration(h.IntN(3)) * time.Second)
}

func (h *handing) check(t *testing.T) {
	files := map[string]string{}
	for path, f := range h.files {
		files[f.fleet] = path
	}
	for _, f := range h.Status().Fleets {
		path, is := files[f.Fleet]
		if delete(files, f.Fleet); is == isRetired(f) || is && f.File != path || !is && f.File != "" && h.files[f.File].fleet != "" {
			t.Errorf("%s is to be of file %q, and is of %q (retired: %v)", f.Fleet, path, f.File, f.Retired)
		}
		if is && f.Disk.State != api.DiskServed {
			h.saysWhoHasThem(t, f)
		}
	}
	if len(files) > 0 {
		t.Errorf("there are no fleets %v", files)
	}
	for _, p := range h.Status().Proxies {
		if want := claimants(h.files, p.Node); len(want) > 0 && !slices.Contains(want, p.Fleet) {
			t.Errorf("%s is of %q, want one of %q (%s, %+v)", p.Node, p.Fleet, want, p.State, h.files)
		}
	}
}

// isRetired is whether a fleet is retired, and not on its way back.
func isRetired(f api.Fleet) bool { return f.Retired != nil && f.Candidate.ID == "" }

// saysWhoHasThem is for a fleet that is not served: there must be a fleet that has each proxy
// that it is for, and it must say which.
func (h *handing) saysWhoHasThem(t *testing.T, f api.Fleet) {
	said := f.Disk.Why + fmt.Sprint(f.Notices)
	if f.WaitsFor != nil {
		said += f.WaitsFor.Text
	}
	for _, p := range h.Status().Proxies {
		if file := h.files[f.File]; file.proxy != "" && file.proxy != p.Node {
			continue
		}
		if p.Fleet == f.Fleet || !strings.Contains(said, p.Node) || !strings.Contains(said, "fleet "+p.Fleet) {
			t.Errorf("fleet %s does not say that %s is of %q: %s", f.Fleet, p.Node, p.Fleet, said)
		}
	}
}
