package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// How many proxies come at a time that were never seen before and never will be, how
// many of them at once, and how long one may take.
const (
	manyStrangers   = 500
	strangersAtOnce = 20
	strangerTime    = 10 * time.Second
)

// strangers come with ids of their own, refuse the first filter that they are sent,
// and leave for good. Nothing of them may stay.
func (w *world) strangers() {
	conn, err := xdstest.Dial(w.server.Listen)
	w.must(err)
	defer func() { _ = conn.Close() }() // none is needed any more
	ctx, cancel := context.WithTimeout(context.Background(), strangerTime)
	defer cancel()
	var group sync.WaitGroup
	for part := range strangersAtOnce {
		group.Go(func() {
			for i := part; i < manyStrangers && ctx.Err() == nil; i += strangersAtOnce {
				var refused atomic.Bool
				p := xdstest.New(xdstest.Config{
					Node:  xdstest.Node(fmt.Sprintf("stranger-%d-%05d", w.build, int(w.strange.Add(1))), "edge", nil),
					Names: map[string][]string{resource.ExtensionConfigType: {"auth"}}, Light: true,
					Judge: func(r xdstest.Response) error {
						if r.TypeURL != resource.ExtensionConfigType {
							return nil
						}
						refused.Store(true)
						return errRefused
					},
				})
				if p.Connect(ctx, conn) == nil {
					_ = p.Wait(ctx, refused.Load) // or it has nothing to refuse in time
				}
				p.Close()
			}
		})
	}
	group.Wait()
}
