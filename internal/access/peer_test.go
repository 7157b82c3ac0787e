package access

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// Who asks by a Unix socket is known to the system: the user and the process.
func TestPeer(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") //nolint:usetesting // a test's own may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "a.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked, ended := make(chan api.Source, 1), make(chan error, 1)
	g := &Guard{Log: discard()}
	h := g.Socket(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- CallerOf(r.Context()).Source() }))
	go func() { ended <- Serve(ctx, discard(), l, nil, h, DefaultBounds) }()
	if err := api.New("unix:" + path).Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	s := <-asked
	if s.How != "socket" || s.Address != "pid "+strconv.Itoa(os.Getpid()) || !strings.Contains(s.Identity, "uid "+strconv.Itoa(os.Getuid())) {
		t.Errorf("%+v", s)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestPlain(t *testing.T) {
	for name, want := range map[string]string{"a b": "a b", "a\x1b[2Jb\n": "a?[2Jb?", "\xff": "?", strings.Repeat("ä", 300): strings.Repeat("ä", maxName) + "…"} {
		if got := plain(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}
