package control

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// Whatever is in the file of a fleet's state, the server starts, or says in one line why not; what
// can't be read is put aside; and what is read goes on as any state does: proxies come and go, time
// passes, people ask, and what is written is read by the next server as it was.
func FuzzState(f *testing.F) {
	for _, from := range []string{"testdata/format-0", "testdata/format-1"} {
		data, err := os.ReadFile(filepath.Join(from, fleetFileName("edge")))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(brief(f, data))
	}
	for _, text := range []string{
		``, `{`, `{}`, `null`, `[]`, `{"format":99}`, `{"format":-1}`, `{"format":1,"name":"../x","match":{}}`,
		`{"format":1,"match":{"cluster":"edge"},"rollout":{"serving":{"id":"` + goldenServing + `","number":3},"rollout":{"candidate":{"id":"` + goldenCandidate + `","number":4},"stage":0,"plan":{"stages":[{"name":"all","percent":100}]}}}}`,
		`{"format":1,"match":{"cluster":"edge"},"guests":{"edge-0":"2026-01-01T00:00:00Z"},"runs":{"edge-0":"edge/` + goldenServing + `"},"rollout":{"serving":{"id":"../../x","number":-3}}}`,
		`{"format":1,"match":{"cluster":"edge"},"retired":{"at":"2026-01-01T00:00:00Z"},"rollout":{"last":9223372036854775807,"history":[{}],"rejected":[{}],"kept":[{}]}}`,
	} {
		f.Add([]byte(text))
	}
	files := filesOf(f, "testdata/format-1")
	first, err := openOn(maps.Clone(files))
	if err != nil {
		f.Fatal(err)
	}
	first.lives(f) // what is made once, descriptors of messages say, is not of the time of one input
	first.writing.Wait()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 16<<10 {
			return
		}
		state := maps.Clone(files)
		state[fleetFileName("edge")] = data
		c, err := openOn(state)
		if newer := (*snapshot.NewerFormatError)(nil); err != nil {
			if !errors.As(err, &newer) {
				t.Errorf("the server does not start: %v", err)
			}
			return
		}
		defer c.writing.Wait()
		c.lives(t)
	})
}

// brief is a state without the history that fills most of the file.
func brief(f *testing.F, data []byte) []byte {
	f.Helper()
	var state map[string]any
	if err := json.Unmarshal(data, &state); err != nil {
		f.Fatal(err)
	}
	rollout := state["rollout"]
	if rollout == nil {
		rollout = state["Rollout"]
	}
	for name := range rollout.(map[string]any) {
		if history, ok := rollout.(map[string]any)[name].([]any); ok && len(history) > 2 {
			rollout.(map[string]any)[name] = history[:2]
		}
	}
	out, err := json.Marshal(state)
	if err != nil {
		f.Fatal(err)
	}
	return out
}

// A memory is a state directory that costs no disk: the fuzzer opens thousands.
type memory struct {
	mu    sync.Mutex
	files map[string][]byte
}

// openOn is a loop that does not run, with these files.
func openOn(files map[string][]byte) (*Control, error) {
	log := slog.New(slog.DiscardHandler)
	return New(Config{
		Log: log, Source: build.NewFiles("fleet.yaml", still{}, build.NewMaker(build.Inspect{}, confine.Rule{})),
		XDS: xds.NewServer(log, xds.Limits{}), Store: &memory{files: files},
	})
}

// filesOf are those of a folder, by name.
func filesOf(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out[name], err = os.ReadFile(filepath.Join(dir, name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (*memory) Identity(prefix string) (string, error) { return prefix + "x", nil }

func (*memory) Salt() (string, error) { return "", nil }

func (m *memory) Save(name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[name] = slices.Clone(data)
	return nil
}

func (m *memory) Load(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if data, ok := m.files[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

func (m *memory) List(folder string) (out []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.files {
		if path.Dir(name) == folder {
			out = append(out, path.Base(name))
		}
	}
	slices.Sort(out)
	return out, nil
}

func (m *memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, name)
	return nil
}

func (m *memory) SetAside(name string) (string, error) {
	data, err := m.Load(name)
	if err == nil {
		err = errors.Join(m.Save("damaged/"+path.Base(name), data), m.Remove(name))
	}
	return "damaged/" + path.Base(name), err
}

// lives has a loop do what it does when it has started.
func (c *Control) lives(t testing.TB) {
	t.Helper()
	for _, id := range []string{"edge-0", "edge-9"} {
		node := &corev3.Node{Id: id, Cluster: "edge", Locality: &corev3.Locality{Region: "north", Zone: "a", SubZone: "rack-7"}}
		node.Metadata = xdstest.Metadata(t, `{"labels":{"SubZone":"kept","canary":"yes"}}`)
		c.proxyEvents([]xds.Event{{Kind: xds.Connected, Node: node}})
		target := c.nodes[id].target
		for _, name := range []string{target.Live, target.Shadow} {
			of, _ := snapshot.IsClosed(name)
			if ref := snapshot.ParseRef(of); of != "" && ref.Fleet == "" && c.keyed("edge").snapshots[ref.ID] == nil {
				t.Errorf("%s is to have %q, which is not there", id, name)
			}
		}
		c.proxyEvents([]xds.Event{{Kind: xds.Served, Node: node, Revision: pairOf(target)}, {Kind: xds.Disconnected, Node: node}})
	}
	c.tick()
	before, err := json.Marshal(c.status(10))
	if err != nil {
		t.Fatalf("the status can't be written: %v", err)
	}
	if len(before) == 0 {
		t.Error("the status is empty")
	}
	c.batch(func() {
		for _, s := range c.fleets {
			s.dirty = true
		}
	})
	c.disk()
	for _, s := range c.fleets {
		data, err := c.Store.Load(fleetFileName(s.key))
		if err != nil {
			t.Fatalf("what is read is not written: %v", err)
		}
		if stored, err := readFleet(data); err != nil || stored.Rollout.Serving != s.rollout.Serving || len(stored.Guests) != len(s.guests) {
			t.Errorf("what is written is not read: serving %+v, and %+v before (%v)", stored.Rollout.Serving, s.rollout.Serving, err)
		}
	}
}

// Whatever is in the file that says whose node ids are, the server starts with what can be read.
func FuzzTwins(f *testing.F) {
	for _, text := range []string{``, `{`, `null`, `{"format":1,"labels":{"edge-0":"0123abcd"}}`, `{"format":99}`, `{"format":1,"labels":{"":"","edge-9":"x"}}`, `{"labels":[]}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := openOn(map[string][]byte{twinsFile: data})
		if newer := (*snapshot.NewerFormatError)(nil); err != nil {
			if !errors.As(err, &newer) {
				t.Errorf("the server does not start: %v", err)
			}
			return
		}
		defer c.writing.Wait()
		c.proxyEvents([]xds.Event{{Kind: xds.Connected, Node: &corev3.Node{Id: "edge-0"}}})
		if _, err := json.Marshal(c.status(10)); err != nil {
			t.Errorf("the status can't be written: %v", err)
		}
	})
}
