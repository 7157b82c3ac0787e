package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	_ "github.com/waxwing-xds/waxwing/internal/extensions"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/golden"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// copyOf copies a state directory: what reads it may change it.
func copyOf(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// goldenMatch and goldenMeta are what testdata/format-0 was saved of, by the
// last server whose files had no format.
var goldenMatch = fleet.Match{
	ID: "edge-*", Cluster: "edge", Locality: fleet.Locality{Region: "north", Zone: "a", SubZone: "rack-7"},
	Labels: map[string]string{"SubZone": "kept"},
}

var goldenMeta = snapshot.Meta{
	Rollout: fleet.Rollout{
		Stages: []fleet.Stage{
			{
				Name: "canary", Proxies: 1, Bake: 7 * time.Second, Deadline: 9 * time.Minute, Manual: true,
				Match: fleet.Match{Locality: fleet.Locality{SubZone: "rack-7"}, Labels: map[string]string{"canary": "yes"}},
			},
			{Name: "half", Percent: 50.5, Bake: time.Hour, Deadline: 5 * time.Minute},
			{Name: "all", Percent: 100, Deadline: 5 * time.Minute},
		},
		Prove: 3 * time.Second, Limits: fleet.Limits{Errors: 0.25, MinRequests: 77, Disconnects: 5},
	},
	Checks: []snapshot.Check{
		{Filter: "gate", Check: fleet.Check{
			Line: 9, Method: "POST", Path: "/x", Host: "example.org", Status: 201, Upstream: 201,
			Headers: []fleet.Header{{Name: "key", Value: "open"}, {Name: "minrequests", Value: "a"}, {Name: "minrequests", Value: "b"}},
		}},
		{Filter: "gate", Check: fleet.Check{Line: 10, Method: "GET", Path: "/", Host: "waxwing.check", Status: 403, Upstream: 200}},
	},
	NoShadow: []string{"other"},
}

const goldenServing, goldenPrevious, goldenCandidate = "1b9a59b06affa4e6", "89d9c66891b56399", "3f9c85d1b04d710d"

// The state of each format there ever was is read by this server: nothing of it is
// lost, and proxies are given what they were given before.
func TestStatesOfAllFormatsAreRead(t *testing.T) {
	for format := range snapshot.Format + 1 {
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			c, _ := idleIn(t, copyOf(t, fmt.Sprintf("testdata/format-%d", format)))
			s := c.fleets["edge"]
			if s == nil {
				t.Fatal("the fleet is gone")
			}
			if diff := cmp.Diff(goldenMatch, s.match); diff != "" {
				t.Errorf("match (-want +got):\n%s", diff)
			}
			f := s.rollout
			if f.Serving != (rollout.Revision{ID: goldenServing, Number: 3}) || f.Previous != (rollout.Revision{ID: goldenPrevious, Number: 1}) || f.Last != 4 {
				t.Errorf("serving %v, previous %v, last %d", f.Serving, f.Previous, f.Last)
			}
			if len(f.History) != 31 || len(f.Rejected) != 1 || f.Rejected[0].Number != 2 || f.Rejected[0].Node != "edge-0" {
				t.Errorf("history of %d entries, rejected %v", len(f.History), f.Rejected)
			}
			r := f.Rollout
			if r == nil || r.Candidate.ID != goldenCandidate || r.Stage != 1 || !r.Flipped["edge-0"] || !r.Warmed["edge-0"] || len(r.Members) != 1 {
				t.Fatalf("rollout %+v", r)
			}
			if diff := cmp.Diff(goldenMeta, s.snapshots[goldenCandidate].Meta, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("meta of the candidate (-want +got):\n%s", diff)
			}
			c.goldenProxies(t)
		})
	}
}

// goldenProxies connects the canary and another proxy, which have what the rollout
// had come to.
func (c *Control) goldenProxies(t *testing.T) {
	t.Helper()
	for _, id := range []string{"edge-0", "edge-9"} {
		node := &corev3.Node{Id: id, Cluster: "edge", Locality: &corev3.Locality{Region: "north", Zone: "a", SubZone: "rack-7"}}
		fields := `{"labels":{"SubZone":"kept","canary":"yes"}}`
		node.Metadata = xdstest.Metadata(t, fields)
		c.proxyEvents([]xds.Event{{Kind: xds.Connected, Node: node}})
	}
	if got := c.nodes["edge-0"].target; got.Live != goldenCandidate {
		t.Errorf("the canary is given %+v, and had the candidate", got)
	}
	if got := c.nodes["edge-9"].target; got.Live != goldenServing {
		t.Errorf("a proxy of no stage yet is given %+v, want what is served", got)
	}
}

// What is written now is format N of testdata. A field that is added shows here:
// with omitempty the file stays as it is; else it is a new format.
func TestStateGolden(t *testing.T) {
	format := fmt.Sprintf("testdata/format-%d", snapshot.Format)
	from := format
	if golden.Rewrite() {
		from = "testdata/format-0"
	}
	c, dir := idleIn(t, copyOf(t, from))
	s := c.fleets["edge"]
	for id, snap := range s.snapshots { // as if they were new
		delete(s.storing, id)
		c.saveRevision(s, snap)
	}
	s.dirty = true
	c.disk()
	if golden.Rewrite() {
		replace(t, format, dir)
	}
	golden.CompareFiles(t, format, dir, fleetFileName("edge"), revisionFile("edge", goldenServing), revisionFile("edge", goldenCandidate))
}

// replace puts a state directory in the place of another.
func replace(t *testing.T, to, from string) {
	t.Helper()
	for _, folder := range []string{"fleets", "revisions"} {
		if err := os.RemoveAll(filepath.Join(to, folder)); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(to, folder), os.DirFS(filepath.Join(from, folder))); err != nil {
			t.Fatal(err)
		}
	}
}

// What a newer server has saved is left alone, and the server does not start.
func TestNewerFormatIsLeftAlone(t *testing.T) {
	dir := copyOf(t, "testdata/format-0")
	path := filepath.Join(dir, "fleets", "web.json")
	newer := []byte(fmt.Sprintf(`{"format": %d, "match": ["something", "else"]}`, snapshot.Format+1))
	if err := os.WriteFile(path, newer, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fleets", "bad.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, dir)
	want := fmt.Sprintf("fleets/web.json: it is of format %d, and this server reads formats up to %d", snapshot.Format+1, snapshot.Format)
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v\nwant one line with %q", err, want)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, newer) {
		t.Errorf("it is changed: %s, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "fleets", "bad.json")); err != nil {
		t.Errorf("the directory of a newer server is changed: %v", err)
	}
}

// What is damaged is put aside, said, and gone on without; what is whole is served.
func TestDamagedStateIsPutAside(t *testing.T) {
	for _, c := range []struct {
		name, file, aside string
		content           func([]byte) []byte
		serving           string
	}{
		{"cut short", fleetFileName("edge"), "fleets-edge.json", func(b []byte) []byte { return b[:len(b)/2] }, ""},
		{"a stage too many", fleetFileName("edge"), "fleets-edge.json", func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"stage": 1`), []byte(`"stage": 7`), 1)
		}, ""},
		{"what is served", revisionFile("edge", goldenServing), "revisions-edge.pb", func(b []byte) []byte { b[len(b)/2]++; return b }, ""},
		{"what was served", revisionFile("edge", goldenPrevious), "revisions-edge.pb", func([]byte) []byte { return nil }, goldenServing},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOf(t, "testdata/format-0")
			path := filepath.Join(dir, filepath.FromSlash(c.file))
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := c.content(data)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			control, _ := idleIn(t, dir)
			if got, err := os.ReadFile(filepath.Join(dir, "damaged", c.aside)); err != nil || !bytes.Equal(got, damaged) {
				t.Errorf("not put aside: %v", err)
			}
			serving := ""
			if s := control.fleets["edge"]; s != nil {
				serving = s.rollout.Serving.ID
			}
			if serving != c.serving {
				t.Errorf("serves %q, want %q", serving, c.serving)
			}
		})
	}
}

// Each field that is stored has a name of its own: what it is called in Go may change.
func TestSavedFieldsAreTagged(t *testing.T) {
	for format := 1; format <= snapshot.Format; format++ {
		mustBeTagged(t, fmt.Sprintf("testdata/format-%d", format), fleetFileName("edge"))
	}
	meta, err := json.Marshal(goldenMeta)
	if err != nil {
		t.Fatal(err)
	}
	mustHaveTags(t, meta)
}

// mustBeTagged does so for a file of a state directory.
func mustBeTagged(t *testing.T, dir, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	mustHaveTags(t, data)
}

// mustHaveTags finds fields whose names in JSON are those in Go.
func mustHaveTags(t *testing.T, data []byte) {
	t.Helper()
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(value) {
		if name != strings.ToLower(name) && name != "SubZone" { // a label of the golden's
			t.Errorf("a field is called %q", name)
		}
	}
}

func names(value any) []string {
	var out []string
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			out = append(append(out, name), names(inner)...)
		}
	case []any:
		for _, inner := range v {
			out = append(out, names(inner)...)
		}
	}
	return out
}
