package control

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/store"
	"github.com/waxwing-xds/waxwing/internal/watch"
	"github.com/waxwing-xds/waxwing/internal/xds"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// fileOfFleet is a fleet file of a listener at a port.
func fileOfFleet(name, match string, port int) string {
	return strings.Replace(strings.Replace(fleetYAML, "fleet: edge", "fleet: "+name+"\nmatch: "+match, 1), "port_value: 1", fmt.Sprint("port_value: ", port), 1) +
		"rollout: {stages: [{name: all, percent: 100, bake: 0s}], watch: 0s}\n"
}

// saves has files taken together, and what is built of them.
func (c *Control) saves(t testing.TB, builds int, files map[string]string) {
	t.Helper()
	var changes []watch.Change
	for path, text := range files {
		change := watch.Change{Path: path, Data: []byte(text)}
		if text == "" {
			change = watch.Change{Path: path, Err: fs.ErrNotExist}
		}
		changes = append(changes, change)
	}
	if b := c.edit(t, builds, changes...); b.Err != nil {
		t.Fatal(b.Err)
	}
	c.disk()
}

// says has a proxy connect, with labels.
func (c *Control) says(t *testing.T, id, labels string, fresh bool) {
	t.Helper()
	c.proxyEvents([]xds.Event{{Kind: xds.Connected, Fresh: fresh, Node: &corev3.Node{Id: id, Cluster: "edge", Metadata: xdstest.Metadata(t, `{"labels": `+labels+`}`)}}})
}

// follow has all proxies accept what they are to have, until nothing changes.
func (c *Control) follow() {
	for range 10 {
		var events []xds.Event
		for _, n := range c.nodes {
			if a := n.target; a.Live+a.Shadow != "" {
				events = append(events, xds.Event{Kind: xds.Served, Node: n.node, Revision: pairOf(a)})
			}
		}
		c.proxyEvents(events)
		c.tick()
		c.disk()
	}
}

// where is which fleet a proxy is of, and where it is on its way to.
func (c *Control) where(id string) string {
	n := c.nodes[id]
	switch {
	case n == nil:
		return "gone"
	case n.fleet == "":
		return n.home + " kept"
	case n.fleet != n.home:
		return n.home + " to " + n.fleet
	}
	return n.home
}

func (c *Control) mustBe(t *testing.T, want map[string]string) {
	t.Helper()
	for id, where := range want {
		if got := c.where(id); got != where {
			t.Errorf("%s is %q, want %q", id, got, where)
		}
	}
}

// twoFleets serve proxies of the cluster, those with a label apart.
func twoFleets(t *testing.T) (*Control, string) {
	t.Helper()
	c, dir := idleIn(t, t.TempDir())
	c.saves(t, 2, map[string]string{
		"edge.yaml":  fileOfFleet("edge", "{cluster: edge}", 1),
		"inner.yaml": fileOfFleet("inner", "{cluster: edge, labels: {tier: inner}}", 2),
	})
	c.says(t, "a", `{}`, true)
	c.says(t, "b", `{"tier": "inner"}`, true)
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge", "b": "inner"})
	return c, dir
}

// A proxy that comes back with other labels runs what it ran, until it has proven what
// its new fleet serves.
func TestLabelsChangedAtAReconnect(t *testing.T) {
	c, dir := twoFleets(t)
	edge, inner := c.fleets["edge"].rollout.Serving.ID, c.fleets["inner"].rollout.Serving.ID
	c.says(t, "a", `{"tier": "inner"}`, false)
	c.mustBe(t, map[string]string{"a": "edge to inner", "b": "inner"})
	if a := c.nodes["a"].target; a.Live != "edge/"+edge {
		t.Errorf("it is to have %+v, and ran %s", a, edge)
	}
	if r := c.fleets["inner"].rollout.Rollout; r == nil || !r.Move || r.Candidate.ID != inner {
		t.Fatalf("there is no move: %+v", r)
	}

	// After a restart of the server it is where it was.
	c.disk()
	c.writing.Wait()
	if err := c.Store.(*store.Dir).Close(); err != nil {
		t.Fatal(err)
	}
	c, _ = idleIn(t, dir)
	c.says(t, "a", `{"tier": "inner"}`, false)
	c.says(t, "b", `{"tier": "inner"}`, false)
	c.mustBe(t, map[string]string{"a": "edge to inner", "b": "inner"})
	c.follow()
	c.mustBe(t, map[string]string{"a": "inner", "b": "inner"})
	if a := c.nodes["a"].target; a.Live != inner {
		t.Errorf("it is to have %+v", a)
	}
}

// A process that starts anew runs nothing, and goes where its labels say.
func TestLabelsChangedByANewProcess(t *testing.T) {
	c, _ := twoFleets(t)
	c.says(t, "a", `{"tier": "inner"}`, true)
	c.mustBe(t, map[string]string{"a": "inner"})
}

// Of a revision under way a proxy is not taken out by another fleet: that waits, and says so.
func TestMemberOfARolloutIsNotMoved(t *testing.T) {
	c, _ := twoFleets(t)
	c.saves(t, 1, map[string]string{"edge.yaml": strings.Replace(fileOfFleet("edge", "{cluster: edge}", 3), "percent: 100", "percent: 100, approve: manual", 1)})
	c.saves(t, 1, map[string]string{"canaries.yaml": fileOfFleet("canaries", "{cluster: edge, id: a}", 4)})
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge"})
	if text := fmt.Sprint(c.notices(c.fleets["canaries"])); !strings.Contains(text, "to be moved here when the rollout of fleet edge has ended, which has them: 1 proxy (a)") {
		t.Errorf("nobody says why: %s", text)
	}
	if err := c.carryOut(api.Command{Fleet: "edge", Verb: rollout.Promote, By: "alice"}, nil); err != nil {
		t.Fatal(err)
	}
	c.follow()
	c.mustBe(t, map[string]string{"a": "canaries"})
}

// oneRetired is twoFleets after one's file is gone.
func oneRetired(t *testing.T, name string) (*Control, string) {
	t.Helper()
	c, dir := twoFleets(t)
	c.Grace = time.Nanosecond
	c.saves(t, 0, map[string]string{name + ".yaml": ""})
	c.tick()
	c.follow()
	return c, dir
}

// A retired fleet whose file is there again, for other proxies, has none by the match that
// it was retired with.
func TestTakenUpWithAnotherMatch(t *testing.T) {
	for _, port := range []int{2, 3} { // the same content, and another
		c, _ := oneRetired(t, "inner")
		c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
		c.saves(t, 1, map[string]string{"inner.yaml": fileOfFleet("inner", "{cluster: edge, labels: {tier: other}}", port)})
		c.follow()
		c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
		s := c.fleets["inner"]
		if waits := port == 3; s.retired() != waits { // for a proxy that proves it
			t.Errorf("port %d: it is retired: %t", port, s.retired())
		}
		for _, e := range s.rollout.History {
			if e.Kind == rollout.MoveStarted && strings.Contains(e.Reason, "from ") || e.Kind == rollout.Flipped && e.Stage != "first" && e.Revision.Number > 1 {
				t.Errorf("port %d: %s: %s", port, e.Kind, e.Reason)
			}
		}
	}
}

// Two files that exchange their names: each name keeps what it is the name of.
func TestNamesExchanged(t *testing.T) {
	c, _ := twoFleets(t)
	inner := c.fleets["inner"].rollout.Serving.ID
	c.saves(t, 2, map[string]string{
		"edge.yaml":  fileOfFleet("inner", "{cluster: edge, labels: {tier: inner}}", 2),
		"inner.yaml": fileOfFleet("edge", "{cluster: edge}", 1),
	})
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge", "b": "inner"})
	if got := c.fleets["inner"].rollout; got.Serving.ID != inner || got.Rollout != nil {
		t.Errorf("something is rolled out: %+v", got)
	}
}

// A fleet that goes from one file to another is the same, and neither is retired; a name
// that is free again is another fleet.
func TestFleetGoesToAnotherFile(t *testing.T) {
	c, _ := twoFleets(t)
	c.Grace = time.Nanosecond
	text := fileOfFleet("inner", "{cluster: edge, labels: {tier: inner}}", 2)
	c.saves(t, 0, map[string]string{"other.yaml": text})
	if c.problems["other.yaml"] == "" {
		t.Error("two files have one fleet, and nobody says so")
	}
	c.saves(t, 1, map[string]string{"inner.yaml": ""})
	c.follow()
	c.mustBe(t, map[string]string{"b": "inner"})
	if s := c.fleets["inner"]; s.retired() || s.file != "other.yaml" || len(c.problems) > 0 {
		t.Errorf("retired: %v, file %s, problems %v", s.retired(), s.file, c.problems)
	}
	c.saves(t, 1, map[string]string{"other.yaml": strings.Replace(text, "fleet: inner", "fleet: core", 1)})
	c.mustBe(t, map[string]string{"b": "core"})
	c.saves(t, 1, map[string]string{"inner.yaml": fileOfFleet("inner", "{cluster: nowhere}", 9)})
	if core, inner := c.fleets["core"], c.fleets["inner"]; core.key == inner.key {
		t.Errorf("both are kept as %s", core.key)
	}
}

// A fleet whose file is gone keeps its proxies until another's match claims them; and is
// the old one when the file is there again.
func TestRetired(t *testing.T) {
	c, _ := oneRetired(t, "edge")
	c.mustBe(t, map[string]string{"a": "edge", "b": "inner"})
	if !c.fleets["edge"].retired() {
		t.Fatal("it is not retired")
	}
	if err := c.fleetCommand(api.Command{Fleet: "edge", Verb: api.VerbForget}); err == nil || !strings.Contains(err.Error(), "1 proxy (a) run what fleet edge serves") {
		t.Errorf("it is forgotten: %v", err)
	}
	c.saves(t, 1, map[string]string{"edge.yaml": fileOfFleet("edge", "{cluster: edge}", 1)})
	if s := c.fleets["edge"]; s.retired() || s.rollout.Serving.Number != 1 {
		t.Errorf("it is not taken up: %+v", s.rollout)
	}
	c.saves(t, 0, map[string]string{"inner.yaml": ""})
	c.tick()
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge", "b": "edge"})
	if err := c.fleetCommand(api.Command{Fleet: "inner", Verb: api.VerbForget}); err != nil {
		t.Error(err)
	}
	c.disk()
	if names, err := c.Store.List("fleets"); err != nil || len(names) != 1 {
		t.Errorf("in the state directory is %v, %v", names, err)
	}
}

// A proxy that has taken another fleet's revision, and is away when the move ends, runs it when
// it comes back, also where it is to be of the first fleet again: it is not given what it ran
// there, but what it runs until it has proven that.
func TestAwayWhenAMoveEnds(t *testing.T) {
	c, _ := twoFleets(t)
	c.says(t, "c", `{}`, true)
	c.follow()
	c.saves(t, 1, map[string]string{"inner.yaml": manual(fileOfFleet("inner", "{cluster: edge, labels: {tier: inner}}", 2))})
	for _, id := range []string{"a", "c"} {
		c.says(t, id, `{"tier": "inner"}`, false)
	}
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge to inner", "c": "edge to inner"})
	inner := c.fleets["inner"].rollout.Serving.ID
	if a := c.nodes["a"].target; a.Live != inner {
		t.Fatalf("it is to have %+v", a)
	}
	c.proxyEvents([]xds.Event{{Kind: xds.Disconnected, Node: c.nodes["a"].node}})
	if err := c.carryOut(api.Command{Fleet: "inner", Verb: rollout.Promote, By: "alice"}, nil); err != nil {
		t.Fatal(err)
	}
	c.follow()
	c.mustBe(t, map[string]string{"c": "inner"})
	c.says(t, "a", `{}`, false)
	c.mustBe(t, map[string]string{"a": "inner to edge"})
	if a := c.nodes["a"].target; a.Live != "inner/"+inner {
		t.Errorf("it is back, and is to have %+v, and runs %s of inner", a, inner)
	}
	c.follow()
	c.mustBe(t, map[string]string{"a": "edge"})
}
