package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"

	"google.golang.org/grpc"

	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// The servers that are measured.
const (
	sideOurs     = "waxwing"  // internal/xds
	sideFloor    = "floor"    // writes the same bytes, no logic
	sideSnapshot = "snapshot" // go-control-plane's snapshot cache
	sideLinear   = "linear"   // go-control-plane's linear caches
)

// A side is a server that is measured.
type side interface {
	grpc(secure ...grpc.ServerOption) *grpc.Server
	// prepare does for a revision what can be done before it is pushed.
	prepare(*snapshot.Snapshot) error
	// push gives proxies with an even number one revision, the others another.
	push(n int, even, odd *snapshot.Snapshot) error
}

func newSide(ctx context.Context, name string) (side, error) {
	switch name {
	case sideOurs:
		return newOurs(ctx), nil
	case sideFloor:
		return newFloor(), nil
	case sideSnapshot:
		return newSnapshotCache(ctx), nil
	case sideLinear:
		return newLinearCache(ctx), nil
	}
	return nil, fmt.Errorf("there is no server %q", name)
}

// nodeID is the id of the proxy with a number, and number the way back.
func nodeID(i int) string { return fmt.Sprintf("p-%05d", i) }

func number(nodeID string) int {
	i, err := strconv.Atoi(strings.TrimPrefix(nodeID, "p-"))
	if err != nil {
		panic(err) // there are no other proxies
	}
	return i
}

// serving is how a server is to be.
type serving struct{ side, address, profiles, certificates string }

// serve is the process of a server.
func serve(ctx context.Context, how serving) error {
	s, err := newSide(ctx, how.side)
	if err != nil {
		return err
	}
	secure, err := how.secure(ctx)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", how.address)
	if err != nil {
		return err
	}
	profiles := how.profiles
	revisions := map[int]*snapshot.Snapshot{}
	var profile *os.File
	return rig.Obey(func(c command) (answer, error) {
		switch c.Do {
		case "prepare":
			clear(revisions)
			return answer{}, prepare(s, c, revisions)
		case "push":
			odd := revisions[c.Odd]
			if odd == nil {
				odd = revisions[c.Revision]
			}
			return answer{}, s.push(c.N, revisions[c.Revision], odd)
		case "serve": // once there is something to serve
			go s.grpc(secure...).Serve(listener) //nolint:errcheck // ends with the process
			return answer{Address: listener.Addr().String()}, nil
		case "settle":
			return answer{Memory: settle()}, nil
		case "profile":
			if profiles == "" {
				return answer{}, nil
			}
			profile, err = os.Create(filepath.Join(profiles, "cpu"))
			if err != nil {
				return answer{}, err
			}
			return answer{}, pprof.StartCPUProfile(profile)
		case "profiled":
			return answer{}, writeProfiles(profiles, profile)
		}
		return answer{}, fmt.Errorf("a server can't %q", c.Do)
	})
}

// prepare builds the revisions of a command, and has a side make ready what it sends of them.
func prepare(s side, c command, revisions map[int]*snapshot.Snapshot) (err error) {
	if revisions[c.Revision], err = build(c.Kind, c.Revision, c.Module); err != nil {
		return err
	}
	if c.Odd != 0 {
		if revisions[c.Odd], err = build(c.Kind, c.Odd, c.Module); err != nil {
			return err
		}
	}
	for _, r := range revisions {
		if err := s.prepare(r); err != nil {
			return err
		}
	}
	settle()
	return nil
}

func writeProfiles(folder string, cpu *os.File) error {
	if folder == "" || cpu == nil {
		return nil
	}
	pprof.StopCPUProfile()
	if err := cpu.Close(); err != nil {
		return err
	}
	for _, name := range []string{"heap", "goroutine"} {
		f, err := os.Create(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		if err := pprof.Lookup(name).WriteTo(f, 0); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// settle gives back what memory is free and says where the rest is.
func settle() memory {
	for range 4 { // each halves the stacks that are mostly empty
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{Heap: int64(m.HeapAlloc), Stacks: int64(m.StackInuse), Goroutines: int64(runtime.NumGoroutine())}
}
