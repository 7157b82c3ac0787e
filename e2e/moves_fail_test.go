package e2e

import (
	"net"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// A move that fails after its flip, at a service that is not there, puts the proxy back on what it
// ran: it is of its own fleet again, also when the server is killed, and tried again by itself until
// the file is mended. The other proxy notices nothing.
func TestMoveThatFailsAfterItsFlip(t *testing.T) {
	t.Parallel()
	w, proxies := fleetsWorld(t)
	l := w.startLoad(proxies[1:], 2, "")
	_, port := w.service()
	good := w.canaries(fleetOptions{Module: w.moduleFile("other", gate(t, 101))})
	save(t, w.file("canaries"), []byte(strings.ReplaceAll(string(good), "port_value: "+port, "port_value: 1")))
	w.told("canaries", api.EventFlipped, "1 proxy")
	w.told("canaries", api.EventRejected, "in its real listener")
	w.told("edge", api.EventMoveRefused, "edge-0")
	proxies[0].isOfWith("edge", 1)
	w.crashServer()
	w.told("canaries", api.EventStarted, "try 2: it was rejected only for what is around it")
	proxies[0].isOfWith("edge", 1)

	save(t, w.file("canaries"), good)
	proxies[0].isOfWith("canaries", 101)
	proxies[1].isOf("edge")
	l.unharmed(t)
}

// A move that more proxies than limits.troubled allows could not take, since a port of theirs is in
// use, is refused, and says that it is tried again by itself: they stay where they were, and are
// moved when the ports are free. No request fails meanwhile.
func TestMovePastTheLimitOfTroubleIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mkdir(t, w.dir+"/fleets")
	write(t, w.module, gate(t, 1))
	write(t, w.file("edge"), w.fleetYAML(fleetOptions{Rollout: prompt, Checks: checks}))
	w.startServer()
	var proxies []*proxy
	var busy []net.Listener
	for _, id := range []string{"edge-0", "edge-1", "edge-2"} {
		second := freeAddress(t)
		if id != "edge-2" {
			busy = append(busy, occupy(t, second))
		}
		proxies = append(proxies, w.startProxy(id, func(o *bootstrap.Options) { o.Listen["second"] = second }))
	}
	for _, p := range proxies {
		p.isOf("edge")
	}
	plain := rig.Listener("second", "127.0.0.1:2", `
                route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}`, "")
	text := strings.Replace(string(w.canaries(fleetOptions{Module: w.moduleFile("other", gate(t, 101))})), "  listeners:\n", "  listeners:"+plain+"\n", 1)
	save(t, w.file("canaries"), []byte(strings.Replace(text, "edge-0", "edge-2", 1)))
	proxies[2].isOf("canaries")

	l := w.startLoad(proxies, 2, "")
	save(t, w.file("canaries"), []byte(strings.Replace(text, "id: edge-0", "id: 'edge-*'", 1)))
	w.told("canaries", api.EventMoveRefused, "limits.troubled lets a stage go without 1 proxy")
	w.notice("canaries", "it is tried again by itself in ")
	for _, p := range proxies[:2] {
		p.runs("x-build", build(1))
	}
	for _, b := range busy {
		b.Close()
	}
	for _, p := range proxies[:2] {
		p.isOfWith("canaries", 101)
	}
	l.unharmed(t)
}
