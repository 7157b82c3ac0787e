package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/waxwing-xds/waxwing/internal/access"
	"github.com/waxwing-xds/waxwing/internal/api"
)

// Each place has its guard: the socket and TCP have all, TCP by its names alone, and what
// anyone may ask is no more than that.
func TestAdminPlaces(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") //nolint:usetesting // a test's own may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := settings{State: dir, Admin: "127.0.0.1:0", Metrics: "127.0.0.1:0", AdminHosts: access.Names{"xds.internal"}}
	log := slog.New(slog.DiscardHandler)
	a, err := openAdmin(t.Context(), log, s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g, ctx := errgroup.WithContext(ctx)
	answer := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	a.serve(ctx, log, g, answer(http.StatusAccepted), answer(http.StatusTeapot))
	for _, q := range []struct {
		at   net.Listener
		host string
		want int
	}{
		{a.socket, "anything", http.StatusAccepted},
		{a.tcp, "localhost", http.StatusAccepted},
		{a.tcp, "xds.internal", http.StatusAccepted},
		{a.tcp, "evil.example", http.StatusMisdirectedRequest},
		{a.health, "10.1.2.3:1", http.StatusTeapot},
	} {
		client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial(q.at.Addr().Network(), q.at.Addr().String())
		}}}
		resp, err := client.Get("http://" + q.host + api.PathStatus)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		client.CloseIdleConnections()
		if resp.StatusCode != q.want {
			t.Errorf("%s as %s: %d, want %d", q.at.Addr(), q.host, resp.StatusCode, q.want)
		}
	}
	if said := a.describe(); said.Metrics != a.health.Addr().String() || said.Address != a.tcp.Addr().String() {
		t.Errorf("the status says %+v", said)
	}
	cancel()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "admin.sock")); err == nil {
		t.Error("the socket is still there")
	}
}
