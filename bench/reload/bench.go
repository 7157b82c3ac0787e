package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// quiet is the server's quiet period, its default.
const quiet = 50 * time.Millisecond

// bench is both servers with their Envoys. All files are in our server's folder.
type bench struct {
	rig.Ends

	server  *rig.Server
	service *rig.Service
	floor   *rig.Part
	address string   // of the floor
	ours    []string // addresses of our proxies' listeners
	floors  []string // and of the floor's
}

func newBench(ctx context.Context, proxies int) (*bench, error) {
	b := &bench{}
	dir, err := b.Folder()
	if err != nil {
		return b, err
	}
	if b.server, err = rig.NewServer("bin/xds", dir, "--settle", quiet.String()); err != nil {
		return b, err
	}
	b.service, err = rig.StartService(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	if err != nil {
		return b, err
	}
	b.Add(b.service.Stop)
	if b.address, err = rig.FreeAddress(); err != nil {
		return b, err
	}
	for range proxies {
		ours, err1 := rig.FreeAddress()
		floors, err2 := rig.FreeAddress()
		if err := errors.Join(err1, err2); err != nil {
			return b, err
		}
		b.ours, b.floors = append(b.ours, ours), append(b.floors, floors)
	}
	if err := b.startFloor(ctx); err != nil {
		return b, err
	}
	if err := b.server.Start(ctx); err != nil {
		return b, err
	}
	b.Add(b.server.Stop)
	return b, errors.Join(b.startEnvoys(ctx, "ours", b.server.Listen, b.ours), b.startEnvoys(ctx, "floor", b.address, b.floors))
}

func (b *bench) startFloor(ctx context.Context) (err error) {
	args := []string{"-floor", b.address}
	for i, address := range b.floors {
		args = append(args, fmt.Sprintf("floor-%d=%s", i, address))
	}
	if b.floor, err = rig.StartPart(ctx, args...); err == nil {
		b.Add(b.floor.Stop)
	}
	return err
}

func (b *bench) startEnvoys(ctx context.Context, name, server string, addresses []string) error {
	path, err := rig.FindEnvoy(ctx)
	if err != nil {
		return err
	}
	for i, address := range addresses {
		p, err := b.server.StartEnvoy(
			envoy.Options{Path: path, NodeID: fmt.Sprintf("%s-%d", name, i), Dir: b.server.Dir},
			bootstrap.Options{Server: server, Listen: map[string]string{"ingress": address}})
		if err != nil {
			return err
		}
		b.Add(p.Stop)
	}
	return nil
}

// fleet is the fleet file of a state.
func (b *bench) fleet(s state) rig.Fleet {
	return rig.Fleet{Filter: "auth", Config: s.config, Service: b.service.Address, Rollout: "{stages: [{name: all, percent: 100}]}"}
}

// replace renames a new file over one, as a build does in its last step, and says when.
func (b *bench) replace(name string, data []byte) (at time.Time, err error) {
	path := b.server.File(name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return at, err
	}
	at = time.Now()
	return at, os.Rename(path+".new", path)
}
