package build

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"

	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/preflight"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// plainYAML is a fleet file without filters.
func plainYAML(name string, port int) string {
	return fmt.Sprintf(`fleet: %s
resources:
  listeners:
    - name: ingress
      address: {socket_address: {address: 127.0.0.1, port_value: %d}}
      filter_chains: [{filters: [{name: envoy.filters.network.echo, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]}]
`, name, port)
}

// gatedYAML is one with a filter for each module.
func gatedYAML(modules ...string) string {
	var filters []string
	for i, m := range modules {
		filters = append(filters, fmt.Sprintf("  - {name: gate-%d, module: {file: %s}, listeners: [ingress]}\n", i, m))
	}
	return "fleet: edge\nfilters:\n" + strings.Join(filters, "") + "resources:\n  listeners:" + rig.Listener("ingress", "127.0.0.1:1", rig.Answers, "") + "\n"
}

// sandbox is one whose tries wait for the test, and end as it says.
type sandbox struct {
	hold   chan struct{} // tries wait until it is closed; nil: they don't
	refuse func(preflight.Plugin) error
	report preflight.Report // of what passes

	mu    sync.Mutex
	tried int
}

func (s *sandbox) Try(ctx context.Context, p preflight.Plugin) (preflight.Report, error) {
	s.mu.Lock()
	s.tried++
	s.mu.Unlock()
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return preflight.Report{}, ctx.Err()
		}
	}
	if s.refuse != nil {
		if err := s.refuse(p); err != nil {
			return preflight.Report{}, err
		}
	}
	return s.report, nil
}

// disk is a disk without files: the test says what is saved.
type disk struct {
	*Files
	box     *sandbox
	watched []string
	unread  bool
	take    func([]watch.Change)
}

func (d *disk) Watch(paths []string) { d.watched = paths }
func (d *disk) Unsettled() bool      { return d.unread }

func (d *disk) Run(ctx context.Context, take func([]watch.Change)) error {
	d.take = take
	<-ctx.Done()
	return nil
}

// inBubble gives a test a disk with a fleet file's path, or a folder's, in time that costs nothing.
func inBubble(t *testing.T, root string, story func(*testing.T, *disk)) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{box: &sandbox{}}
		d.Files = NewFiles(root, d, NewMaker(d.box, confine.Rule{}))
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Files.Run(ctx) }()
		synctest.Wait()
		defer func() {
			end()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		story(t, d)
	})
}

// save saves a file; a file that is nil is gone.
func (d *disk) save(files map[string]string) { d.change(files, false) }

// draft has files be written that have not settled.
func (d *disk) draft(files map[string]string) { d.change(files, true) }

const (
	gone   = "(gone)"
	folder = "(a folder)"
)

func (d *disk) change(files map[string]string, draft bool) {
	var changes []watch.Change
	for path, text := range files {
		c := watch.Change{Path: path, Data: []byte(text), Draft: draft, Noticed: time.Now().Add(-time.Second), Settled: time.Now()}
		switch text {
		case gone:
			c.Data, c.Err = nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		case folder:
			c.Data, c.Folder = nil, true
		}
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b watch.Change) int { return strings.Compare(a.Path, b.Path) })
	d.take(changes)
}

// says gives the events there are when all that was begun has ended, or waits for the test.
func (d *disk) says() (saved []Saved, built []Built) {
	synctest.Wait()
	for _, e := range d.Events() {
		switch e := e.(type) {
		case Saved:
			saved = append(saved, e)
		case Built:
			built = append(built, e)
		case Unchanged:
		}
	}
	return saved, built
}

// wantBuilt has a revision of each fleet be built, and nothing else.
func (d *disk) wantBuilt(t *testing.T, fleets ...string) {
	t.Helper()
	_, built := d.says()
	var got []string
	for _, b := range built {
		if b.Err != nil || b.Snapshot == nil {
			t.Errorf("%s: %v", b.Path, b.Err)
		}
		got = append(got, b.Fleet)
	}
	slices.Sort(got)
	if !slices.Equal(got, fleets) {
		t.Errorf("built are %v, want %v", got, fleets)
	}
}
