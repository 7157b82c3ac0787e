package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/preflight"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// A fleet file comes before its module: what comes of it is not known until that is read.
// Then it is tried, and a revision comes out.
func TestFleetWaitsForItsModule(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		if !slices.Equal(d.watched, []string{"fleet.yaml"}) {
			t.Errorf("watched is %v", d.watched)
		}
		d.save(map[string]string{"fleet.yaml": gatedYAML("gate.wasm")})
		saved, built := d.says()
		if f := saved[0].Files[0]; len(built) > 0 || !f.Pending || !f.Trying.IsZero() || f.Content != "" || f.Fleet != "edge" || f.Match == nil {
			t.Errorf("the file is %+v, built %v", f, built)
		}
		if !slices.Equal(d.watched, []string{"fleet.yaml", "gate.wasm"}) {
			t.Errorf("watched is %v", d.watched)
		}
		d.box.hold = make(chan struct{})
		d.save(map[string]string{"gate.wasm": "code"})
		saved, built = d.says()
		if f := saved[0].Files[0]; len(built) > 0 || !f.Trying.Equal(time.Now()) || f.Content == "" || f.Own || saved[0].Read[0].Path != "gate.wasm" {
			t.Errorf("the file is %+v, built %v", f, built)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // of the bubble's time
		close(d.box.hold)
		_, built = d.says()
		b := built[0]
		if b.Err != nil || b.Snapshot.Modules[0].Filter != "gate-0" || b.Made.Sub(b.Settled) != time.Minute || b.Settled.Sub(b.Noticed) != time.Second {
			t.Errorf("built is %+v", b)
		}
	})
}

// What is wrong is said with file and line, of all of it; and mended by the next save.
func TestWhatIsWrongHasItsLine(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": "fleet: edge\nfilter: []\n"})
		saved, _ := d.says()
		if f := saved[0].Files[0]; f.Err == nil || !strings.Contains(f.Err.Error(), "fleet.yaml:2") || f.Match != nil {
			t.Errorf("a mistake in the file: %+v", f)
		}
		d.save(map[string]string{"fleet.yaml": gatedYAML("a.wasm", "b.wasm")})
		d.take([]watch.Change{{Path: "a.wasm", Err: fs.ErrNotExist}, {Path: "b.wasm", Err: errors.New("no permission")}})
		saved, _ = d.says()
		f := saved[1].Files[0]
		if f.Err == nil || !strings.Contains(f.Err.Error(), "fleet.yaml:3: module a.wasm does not exist") || !strings.Contains(f.Err.Error(), "fleet.yaml:4: module b.wasm can't be read: no permission") || f.Pending {
			t.Errorf("modules that are not there: %+v", f)
		}
		d.box.refuse = func(p preflight.Plugin) error {
			return &preflight.Error{Filter: p.Name, Step: preflight.StepStart, Reason: "it ends"}
		}
		d.save(map[string]string{"a.wasm": "a", "b.wasm": "b"})
		_, built := d.says()
		if len(built) != 1 || built[0].Err == nil {
			t.Fatalf("built are %+v", built)
		}
		for _, want := range []string{`fleet.yaml:3: filter "gate-0": it ends`, `fleet.yaml:4: filter "gate-1": it ends`} {
			if !strings.Contains(built[0].Err.Error(), want) {
				t.Errorf("%v does not say %s", built[0].Err, want)
			}
		}
		d.box.refuse = nil
		d.save(map[string]string{"a.wasm": "better"})
		d.wantBuilt(t, "edge")
	})
}

// A save while an older one is tried ends that: only the newest counts.
func TestNewerSaveEndsTheOlderBuild(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.box.hold = make(chan struct{})
		d.save(map[string]string{"fleet.yaml": gatedYAML("a.wasm")})
		d.save(map[string]string{"a.wasm": "slow"})
		d.says()
		d.save(map[string]string{"a.wasm": "newer"})
		d.says()
		d.save(map[string]string{"fleet.yaml": "fleet: ["})
		close(d.box.hold)
		if _, built := d.says(); len(built) > 0 {
			t.Errorf("built is what is not on disk any more: %+v", built)
		}
		d.save(map[string]string{"fleet.yaml": gatedYAML("a.wasm")})
		d.save(map[string]string{"a.wasm": "newer"})
		d.wantBuilt(t, "edge")
	})
}

// The end gives up what is being tried, and waits for it.
func TestEndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{box: &sandbox{hold: make(chan struct{})}}
		d.Files = NewFiles("fleet.yaml", d, NewMaker(d.box, confine.Rule{}))
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Files.Run(ctx) }()
		synctest.Wait()
		d.save(map[string]string{"fleet.yaml": gatedYAML("a.wasm")})
		d.save(map[string]string{"a.wasm": "slow"})
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
		d.Again("fleet.yaml", "ann")
		if _, built := d.says(); len(built) > 0 || d.box.tried != 1 {
			t.Errorf("built %+v after the end, tried %d", built, d.box.tried)
		}
	})
}

// The fleet file that was asked for is missed; one of a folder is just gone.
func TestFileThatIsGone(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": gone})
		saved, _ := d.says()
		if f := saved[0].Files[0]; !f.Gone || f.Err == nil || f.Err.Error() != "fleet.yaml: the fleet file does not exist" {
			t.Errorf("%+v", f)
		}
		d.save(map[string]string{"fleet.yaml": plainYAML("edge", 1)})
		d.wantBuilt(t, "edge")
	})
	inBubble(t, "fleets", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleets/edge.yaml": gatedYAML("gate.wasm")})
		d.save(map[string]string{"fleets/gate.wasm": "code"})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"fleets/edge.yaml": gone})
		saved, _ := d.says()
		if f := saved[0].Files[0]; !f.Gone || f.Err != nil || f.Fleet != "edge" || f.Match != nil {
			t.Errorf("%+v", f)
		}
		if !slices.Equal(d.watched, []string{"fleets"}) || len(d.files)+len(d.modules)+len(d.maker.memo.kept[shelf{made, "fleets/edge.yaml"}]) > 0 {
			t.Errorf("watched is %v; something is left of it: %v, %v", d.watched, d.files, d.modules)
		}
		d.save(map[string]string{"fleets/gate.wasm": "told late"})
		if saved, built := d.says(); len(saved)+len(built) > 0 {
			t.Errorf("a module that no file names is taken for something: %+v, %+v", saved, built)
		}
	})
}

// A folder that was missed and is there is missed no more, and a file in whose place there is a
// folder is gone.
func TestFolderWhereSomethingElseWas(t *testing.T) {
	for _, was := range []string{gone, gatedYAML("gate.wasm"), "fleet: ["} {
		inBubble(t, "fleets", func(t *testing.T, d *disk) {
			d.save(map[string]string{"fleets": folder})
			if saved, _ := d.says(); len(saved) > 0 {
				t.Errorf("nothing was there before: %+v", saved)
			}
			d.save(map[string]string{"fleets": was})
			d.says()
			d.save(map[string]string{"fleets": folder})
			saved, _ := d.says()
			if f := saved[0].Files[0]; f.Path != "fleets" || !f.Gone || f.Err != nil || f.Match != nil || len(saved[0].Read)+len(d.files)+len(d.modules) > 0 {
				t.Errorf("where %q was: %+v, and %+v are left", was, f, d.files)
			}
			d.save(map[string]string{"fleets/edge.yaml": gatedYAML("gate.wasm")})
			d.save(map[string]string{"gate.wasm": "code", "fleets/gate.wasm": "code"})
			d.wantBuilt(t, "edge")
		})
	}
}

// A fleet is of one file: another one with the same name is refused, says whose it is, and
// takes it over when that is gone, or has another name.
func TestFleetIsOfOneFile(t *testing.T) {
	for how, frees := range map[string]string{"gone": gone, "renamed": plainYAML("other", 1)} {
		inBubble(t, "fleets", func(t *testing.T, d *disk) {
			d.save(map[string]string{"b.yaml": plainYAML("edge", 1)})
			d.wantBuilt(t, "edge")
			d.save(map[string]string{"a.yaml": "\n" + plainYAML("edge", 2)})
			saved, built := d.says()
			f := saved[0].Files[0]
			if !f.Twin || f.Err == nil || f.Err.Error() != `a.yaml:2: fleet "edge" is that of b.yaml:1 already` || len(built) > 0 {
				t.Errorf("%s: %+v, built %v", how, f, built)
			}
			d.save(map[string]string{"b.yaml": "fleet: ["}) // it has it still
			d.wantBuilt(t)
			d.save(map[string]string{"b.yaml": frees})
			if how == "gone" {
				d.wantBuilt(t, "edge")
			} else {
				d.wantBuilt(t, "edge", "other")
			}
		})
	}
}

// Whatever names go to whatever files: each name is of one file that says it, and what is said of
// the others names that one.
func TestNamesGoAnywhere(t *testing.T) {
	for seed := range uint64(100) {
		inBubble(t, "fleets", func(t *testing.T, d *disk) {
			dice := rand.New(rand.NewPCG(seed, 1))
			names, is, told := []string{"a", "b", "c", gone}, map[string]string{}, map[string]File{}
			for range 12 {
				saves := map[string]string{}
				for _, path := range []string{"1.yaml", "2.yaml", "3.yaml"} {
					if dice.IntN(2) == 0 {
						continue
					}
					name := names[dice.IntN(len(names))]
					if is[path], saves[path] = name, plainYAML(name, 1); name == gone {
						saves[path] = gone
						delete(is, path)
					}
				}
				d.save(saves)
				saved, _ := d.says()
				for _, s := range saved {
					for _, f := range s.Files {
						told[f.Path] = f
					}
				}
				wantOneFileEach(t, is, told)
			}
		})
	}
}

func wantOneFileEach(t *testing.T, is map[string]string, told map[string]File) {
	t.Helper()
	has := map[string]string{}
	for path, name := range is {
		if f := told[path]; f.Err == nil && f.Fleet == name && !f.Gone {
			if has[name] != "" {
				t.Errorf("%s is of %s and %s", name, path, has[name])
			}
			has[name] = path
		}
	}
	for path, name := range is {
		f := told[path]
		if has[name] == "" || has[name] != path && (!f.Twin || !strings.Contains(f.Err.Error(), "is that of "+has[name])) {
			t.Errorf("fleet %s is of %q, and of %s is said %v", name, has[name], path, f.Err)
		}
	}
}

// A copy of a fleet's file does not take the fleet when the server is started anew.
func TestFleetStaysWithItsFile(t *testing.T) {
	inBubble(t, "fleets", func(t *testing.T, d *disk) {
		d.Serving("b.yaml", &snapshot.Snapshot{Fleet: "edge"})
		d.save(map[string]string{"a.yaml": plainYAML("edge", 1), "b.yaml": plainYAML("edge", 1)})
		saved, _ := d.says()
		if a, b := saved[0].Files[0], saved[0].Files[1]; !a.Twin || b.Err != nil || b.Fleet != "edge" {
			t.Errorf("a.yaml is %+v, b.yaml %+v", a, b)
		}
	})
}

// Files that exchange their names have each other's fleet; of two that want one, it stays
// with the one that has it.
func TestFilesSavedTogether(t *testing.T) {
	inBubble(t, "fleets", func(t *testing.T, d *disk) {
		d.save(map[string]string{"a.yaml": plainYAML("edge", 1), "b.yaml": plainYAML("inner", 2)})
		d.wantBuilt(t, "edge", "inner")
		d.save(map[string]string{"a.yaml": plainYAML("inner", 1), "b.yaml": plainYAML("edge", 2)})
		saved, built := d.says()
		for _, f := range saved[0].Files {
			if want := map[string]string{"a.yaml": "inner", "b.yaml": "edge"}[f.Path]; f.Fleet != want || f.Err != nil {
				t.Errorf("%s has %s (%v), want %s", f.Path, f.Fleet, f.Err, want)
			}
		}
		if len(built) != 2 {
			t.Errorf("built are %v", built)
		}
		d.save(map[string]string{"a.yaml": plainYAML("edge", 1), "b.yaml": plainYAML("edge", 3)})
		saved, built = d.says()
		if a, b := saved[0].Files[0], saved[0].Files[1]; !a.Twin || b.Err != nil || len(built) != 1 || built[0].Path != "b.yaml" {
			t.Errorf("a.yaml is %+v, b.yaml %+v", a, b)
		}
		d.save(map[string]string{"b.yaml": gone, "c.yaml": plainYAML("edge", 3)})
		d.wantBuilt(t, "edge")
	})
}

// A person has something tried again: what passed is not, what was refused is, and who
// wants it is said, once.
func TestTriedAgain(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": gatedYAML("a.wasm", "b.wasm")})
		d.box.refuse = func(p preflight.Plugin) error {
			if p.Name == "gate-1" {
				return &preflight.Error{Step: preflight.StepStart, Reason: "the machine was busy"}
			}
			return nil
		}
		d.save(map[string]string{"a.wasm": "a", "b.wasm": "b"})
		if _, built := d.says(); len(built) != 1 || built[0].Err == nil || d.box.tried != 2 {
			t.Fatalf("built %+v, tried %d", built, d.box.tried)
		}
		d.box.refuse = nil
		d.Again("fleet.yaml", "ann")
		if !d.Files.Unsettled() {
			t.Error("nobody knows that something is to come")
		}
		saved, built := d.says()
		if f := saved[0].Files[0]; f.Trying.IsZero() || f.Own || len(saved[0].Read) > 0 {
			t.Errorf("the file is %+v", f)
		}
		if len(built) != 1 || built[0].Err != nil || built[0].By != "ann" || d.box.tried != 3 {
			t.Errorf("built %+v, tried %d; want only what was refused again", built, d.box.tried)
		}
		d.save(map[string]string{"a.wasm": "newer"})
		if _, built := d.says(); len(built) != 1 || built[0].By != "" {
			t.Errorf("built %+v for somebody", built)
		}
		d.Again("nothing.yaml", "ann")
		if saved, built := d.says(); len(saved)+len(built) > 0 || d.Files.Unsettled() {
			t.Errorf("there is no such file: %+v, %+v", saved, built)
		}
	})
}

// nobodysFault is an error that says nothing of what is built.
type nobodysFault struct{}

func (nobodysFault) Error() string { return "the sandbox: no process" }
func (nobodysFault) Again() bool   { return true }

// What the sandbox can't say anything of is tried again, later and later, until a newer save.
func TestTriedAgainByItself(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": gatedYAML("a.wasm", "b.wasm")})
		d.box.refuse = func(preflight.Plugin) error { return nobodysFault{} }
		d.save(map[string]string{"a.wasm": "a", "b.wasm": "b"})
		for _, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			want := fmt.Sprintf("the sandbox: no process; it is tried again in %v", wait)
			if _, built := d.says(); len(built) != 1 || built[0].Err == nil || !strings.HasSuffix(built[0].Err.Error(), want) {
				t.Fatalf("built %+v, want %s", built, want)
			}
			time.Sleep(wait - time.Millisecond) //nolint:forbidigo // in a bubble
			if saved, built := d.says(); len(saved)+len(built) > 0 {
				t.Errorf("too soon: %+v", built)
			}
			time.Sleep(time.Millisecond) //nolint:forbidigo // in a bubble
		}
		d.says()
		d.box.refuse = nil
		d.save(map[string]string{"a.wasm": "newer"})
		if _, built := d.says(); len(built) != 1 || built[0].Err != nil {
			t.Errorf("a newer save: %+v", built)
		}
		time.Sleep(time.Hour) //nolint:forbidigo // in a bubble
		if saved, built := d.says(); len(saved)+len(built) > 0 {
			t.Errorf("it is tried again although it has passed: %+v", built)
		}
	})
}

// A file that was saved as it was is said, and nothing is built.
func TestSavedAsItWas(t *testing.T) {
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": plainYAML("edge", 1)})
		d.wantBuilt(t, "edge")
		d.take([]watch.Change{{Path: "fleet.yaml", Same: true}})
		if !d.Files.Unsettled() {
			t.Error("an event waits, and nobody knows")
		}
		if events := d.Events(); len(events) != 1 || events[0] != (Unchanged{"fleet.yaml", "edge"}) {
			t.Errorf("%+v", events)
		}
		d.unread = true
		if !d.Files.Unsettled() {
			t.Error("a file is yet to be read, and nobody knows")
		}
	})
}

// A filter whose name something in the file goes by is known to proxies by that alone: with
// another type than the one that is served it is refused, at its line.
func TestFilterOfAnotherTypeIsRefused(t *testing.T) {
	const extensions = "type.googleapis.com/envoy.extensions.filters.http."
	named := func(prefix, kind, config string) string {
		return "fleet: edge\nresources:\n  listeners:" + rig.Listener("ingress", "127.0.0.1:1", rig.Answers, `
                  - {name: x, config_discovery: {config_source: {ads: {}}, type_urls: [`+extensions+kind+`]}}`) + `
  clusters: [{name: a, alt_stat_name: "` + prefix + `"}]
  extension_configs:
    - name: x
      typed_config: {"@type": ` + extensions + kind + `, ` + config + `}
`
	}
	authz := func(prefix string) string {
		return named(prefix, "ext_authz.v3.ExtAuthz", "http_service: {server_uri: {uri: http://a, cluster: a, timeout: 1s}}")
	}
	processor := func(prefix string) string {
		return named(prefix, "ext_proc.v3.ExternalProcessor", "grpc_service: {envoy_grpc: {cluster_name: a}}")
	}
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		for _, step := range []struct{ text, refused string }{
			{authz("of x"), ""},
			{processor("of x"), `fleet.yaml:19: filter "x" is of the type envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor, and of envoy.extensions.filters.http.ext_authz.v3.ExtAuthz in what is served`},
			{authz("of x again"), ""},
			{processor("of y"), ""}, // whose name says its type
		} {
			d.save(map[string]string{"fleet.yaml": step.text})
			_, built := d.says()
			switch b := built[0]; {
			case step.refused == "" && b.Err != nil, step.refused != "" && (b.Err == nil || !strings.Contains(b.Err.Error(), step.refused)):
				t.Errorf("it is refused: %v, want %q", b.Err, step.refused)
			case b.Err == nil:
				d.Serving("fleet.yaml", b.Snapshot)
			}
		}
	})
}

// So is one that asks for something that it did not ask for, where only a bootstrap may know it; one
// that asks for less is not.
func TestFilterThatAsksForAnotherIsRefused(t *testing.T) {
	manager := func(routes string) string {
		return "fleet: edge\nresources:\n  listeners:" + rig.Listener("ingress", "127.0.0.1:1", rig.Answers, "") + `
  routes: [{name: a}, {name: b}]
  extension_configs:
    - name: x
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: x, ` + routes + `}
`
	}
	const refused = `fleet.yaml:18: filter "x" asks for something (a secret, routes) that it does not ask for in what is served`
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		for _, step := range []struct{ routes, refused string }{
			{"rds: {route_config_name: a, config_source: {ads: {}}}", ""},
			{"rds: {route_config_name: b, config_source: {ads: {}}}", refused},
			{"rds: {route_config_name: a, config_source: {ads: {}, initial_fetch_timeout: 2s}}", ""}, // it is the same to a proxy
			{"route_config: {}", ""},
		} {
			d.save(map[string]string{"fleet.yaml": manager(step.routes)})
			_, built := d.says()
			switch b := built[0]; {
			case step.refused == "" && b.Err != nil, step.refused != "" && (b.Err == nil || !strings.Contains(b.Err.Error(), step.refused)):
				t.Errorf("%s: it is refused: %v, want %q", step.routes, b.Err, step.refused)
			case b.Err == nil:
				d.Serving("fleet.yaml", b.Snapshot)
			}
		}
	})
}

// What is in a file but for the fleet's name has a name of its own.
func TestBodyOfAFile(t *testing.T) {
	inBubble(t, "fleets", func(t *testing.T, d *disk) {
		body := func(text string) string {
			d.save(map[string]string{"edge.yaml": text})
			saved, _ := d.says()
			return saved[0].Files[0].Body
		}
		edge := body(plainYAML("edge", 1))
		for text, same := range map[string]bool{
			plainYAML("fleet", 1): true, plainYAML("edge", 2): false, "# edge\n" + plainYAML("edge", 1): false, "fleet: [": false,
			strings.Replace(plainYAML("edge", 1), "fleet: edge", `"fleet" : "edge"`, 1): false,
		} {
			if got := body(text); edge == "" || (got == edge) != same || got == "" && text != "fleet: [" {
				t.Errorf("%q has the body %q, and edge.yaml %q", text, got, edge)
			}
		}
	})
}
