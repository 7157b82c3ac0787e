package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// world is the server with its proxies and the services behind them.
type world struct {
	rig.Ends

	server      *rig.Server
	proxies     []addresses
	now, before state     // what is served, and what was before it
	disk        state     // what was saved last
	content     string    // that was on disk last, as the server names it
	looked      time.Time // to when the history was looked at
}

// addresses are those of a proxy's listeners.
type addresses struct{ ingress, secure string }

// overlay has an Envoy ask for a runtime layer.
const overlay = `layered_runtime:
  layers:
    - {name: from-the-server, rtds_layer: {name: settings, rtds_config: {ads: {}, resource_api_version: V3}}}
`

func newWorld(ctx context.Context, o options) (w *world, err error) {
	w = &world{}
	dir, err := w.Folder()
	if err != nil {
		return w, err
	}
	if w.server, err = rig.NewServer("bin/xds", dir); err != nil {
		return w, err
	}
	var ports [2]string
	for i := range ports {
		if ports[i], err = w.startService(); err != nil {
			return w, err
		}
	}
	if w.now, err = first(o.stages, ports); err != nil {
		return w, err
	}
	w.before = w.now
	w.before.Config = next() // what the old file says if the first change is a revert
	if err := w.save(); err != nil {
		return w, err
	}
	// What is wrong with the file is said here, and not by a server that serves nothing.
	if out, err := exec.CommandContext(ctx, "bin/xds", "check", w.server.File("fleet.yaml")).CombinedOutput(); err != nil {
		return w, fmt.Errorf("checking the fleet file: %w\n%s", err, out)
	}
	if err := w.server.Start(ctx); err != nil {
		return w, err
	}
	w.Add(w.server.Stop)
	return w, w.startEnvoys(ctx, o.proxies)
}

// startService runs a service that answers as services do: by the path, some milliseconds late,
// and not always as much.
func (w *world) startService() (port string, err error) {
	s, err := rig.StartService(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(rand.ExpFloat64() * float64(3*time.Millisecond)))
		switch r.URL.Path {
		case "/missing":
			http.NotFound(rw, r)
		case "/moved":
			http.Redirect(rw, r, "/", http.StatusFound)
		default:
			fmt.Fprint(rw, strings.Repeat(rig.Welcome, 1+rand.IntN(50)))
		}
	}))
	if err != nil {
		return "", err
	}
	w.Add(s.Stop)
	_, port, err = net.SplitHostPort(s.Address)
	return port, err
}

// startEnvoys starts the proxies: the last speaks state-of-the-world.
func (w *world) startEnvoys(ctx context.Context, n int) error {
	path, err := rig.FindEnvoy(ctx)
	if err != nil {
		return err
	}
	for i := range n {
		listen := map[string]string{}
		for _, name := range []string{"ingress", "secure", "another"} {
			if listen[name], err = rig.FreeAddress(); err != nil {
				return err
			}
		}
		p, err := w.server.StartEnvoy(
			envoy.Options{Path: path, NodeID: fmt.Sprintf("edge-%d", i), Dir: w.server.Dir, Overlay: overlay},
			bootstrap.Options{Listen: listen, SotW: i == n-1})
		if err != nil {
			return err
		}
		w.Add(p.Stop)
		w.proxies = append(w.proxies, addresses{listen["ingress"], listen["secure"]})
	}
	return nil
}

// save saves what is not on disk yet, the module first: the fleet file alone may be no more than
// other checks, which are served at once.
func (w *world) save() error {
	was := w.disk
	w.disk = w.now
	if w.now.Build != was.Build {
		module, err := rig.Gate(w.now.Build)
		if err != nil {
			return err
		}
		if err := w.server.Save("filter.wasm", module); err != nil {
			return err
		}
	}
	if text := w.now.YAML(); string(text) != string(was.YAML()) {
		return w.server.Save("fleet.yaml", text)
	}
	return nil
}
