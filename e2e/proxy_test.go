package e2e

import (
	"context"
	"fmt"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// proxy is a running Envoy and where it listens.
type proxy struct {
	*envoy.Proxy // another one after each start

	Node    string // stays, so that others may read it meanwhile
	w       *world
	address string
	admin   string
	options bootstrap.Options
	envoy   string // path of the binary
}

// startProxy runs an Envoy of the cluster "edge". It does not wait for it to serve.
func (w *world) startProxy(id string, change ...func(*bootstrap.Options)) *proxy {
	w.t.Helper()
	p := w.newProxy(id)
	for _, c := range change {
		c(&p.options)
	}
	p.start()
	return p
}

// newProxy is a proxy of which no Envoy runs yet.
func (w *world) newProxy(id string) *proxy {
	w.t.Helper()
	p := &proxy{Node: id, w: w, address: freeAddress(w.t), envoy: w.envoy, options: bootstrap.Options{SotW: w.Variant, Command: w.t.Name()}}
	p.options.Listen = map[string]string{"ingress": p.address}
	return p
}

// start runs the proxy's Envoy, with its files in the world's folder if it is not told another.
func (p *proxy) start(change ...func(*envoy.Options)) {
	t := p.w.t
	t.Helper()
	o := envoy.Options{Path: p.envoy, NodeID: p.Node, Dir: p.w.dir, LogLevel: "info", Overlay: p.w.Bootstrap}
	for _, c := range change {
		c(&o)
	}
	e, err := p.w.server.StartEnvoy(o, p.options)
	if err != nil {
		t.Fatal(err)
	}
	p.Proxy = e
	t.Cleanup(func() {
		e.Stop()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", p.Node, e.Tail(30))
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if p.admin, err = e.Admin(ctx); err != nil {
		t.Fatal(err)
	}
}

// proxies runs several and waits until each serves.
func (w *world) proxies(n int) []*proxy {
	w.t.Helper()
	var all []*proxy
	for i := range n {
		all = append(all, w.startProxy(fmt.Sprintf("edge-%d", i)))
	}
	for _, p := range all {
		p.serves(w.servingRevision(n))
	}
	return all
}
