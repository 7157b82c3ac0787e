package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A request for an upgrade that has filters of its own is filtered as any other.
func TestUpgradesAreFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	write(t, w.module, gate(t, 1))
	const router = `{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}`
	const named = "                  - {name: gate, config_discovery: {config_source: {ads: {}, initial_fetch_timeout: 0s, resource_api_version: V3}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]}}\n"
	upgrades := func(filters string, put bool) []byte {
		text := string(w.fleetYAML(fleetOptions{Checks: checks, Rollout: straight}))
		const before = "                http_filters:\n"
		text = strings.Replace(text, before, "                upgrade_configs: [{upgrade_type: websocket"+filters+"}]\n"+before, 1)
		if !put { // the listener names it itself
			text = strings.Replace(strings.Replace(text, "    listeners: [ingress]\n", "", 1), before, before+named, 1)
		}
		return []byte(text)
	}
	write(t, w.fleet, upgrades("", true))
	w.startServer()
	p := w.startProxy("edge-0")
	p.serves(w.revisionAfter(1))
	for i, c := range []struct {
		filters     string
		put, denied bool
	}{{"", true, true}, {", filters: [" + router + "]", true, true}, {", filters: [" + router + "]", false, false}, {"", false, true}} {
		if i > 0 {
			save(t, w.fleet, upgrades(c.filters, c.put))
			p.serves(w.revisionAfter(1 + i))
		}
		if status := p.upgrades("323232"); (status == http.StatusForbidden) != c.denied {
			t.Errorf("with %q (put there: %t) an upgrade that is to be denied is answered %d", c.filters, c.put, status)
		}
		if status := p.upgrades("32323"); status == http.StatusForbidden {
			t.Errorf("with %q an upgrade that is to pass is answered %d", c.filters, status)
		}
	}
}

// upgrades is what a proxy answers when a connection asks to become a websocket.
func (p *proxy) upgrades(token string) int {
	p.w.t.Helper()
	conn, err := net.Dial("tcp", p.address)
	must(p.w.t, err)
	defer conn.Close()
	must(p.w.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\ntoken: %s\r\n\r\n", token)
	must(p.w.t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(p.w.t, err)
	answer.Body.Close()
	return answer.StatusCode
}
