package xds

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// hostFleet is a listener that speaks TLS, in front of a cluster that does: with the parts that
// name something else, and maybe something of the host.
const hostFleet = `
fleet: edge
resources:
  listeners:
    - name: tls
      address: {socket_address: {address: 0.0.0.0, port_value: 443}}
      filter_chains:
        - transport_socket:
            name: tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context: {tls_certificate_sds_secret_configs: [{name: SECRET, sds_config: ADS}]}
          filters:
            - name: hcm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: STATS
                ROUTES
                http_filters:
                  FILTER
                  - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
    - name: echo
      connect_timeout: 1s
      type: STATIC
      load_assignment:
        cluster_name: echo
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8080}}}}]}]
      CA
  secrets:
    - {name: SECRET, tls_certificate: {certificate_chain: {CHAIN}, private_key: {filename: /ok/key.pem}}}
    MORE
`

const ads = "{ads: {}, resource_api_version: V3}"

// inlineRoutes and the like are the parts of hostFleet as they are where all is well.
var plainParts = map[string]string{
	"SECRET": "one", "CHAIN": "filename: /ok/first.pem", "STATS": "a", "FILTER": "", "CA": "", "MORE": "", "ADS": ads,
	"ROUTES": `route_config: {virtual_hosts: [{name: a, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: echo}}]}]}`,
}

// hostFleetWith has other parts: "PART", "what it is".
func hostFleetWith(t *testing.T, parts ...string) *snapshot.Snapshot {
	t.Helper()
	text := hostFleet
	for i := 0; i < len(parts); i += 2 {
		text = strings.ReplaceAll(text, parts[i], parts[i+1])
	}
	for part, plain := range plainParts {
		text = strings.ReplaceAll(text, part, plain)
	}
	return buildOf(t, text, "")
}

// host is a simulated Envoy, and the files of its host.
type host struct {
	*harness
	*xdstest.Envoy
	lacks   atomic.Bool // what is in /h
	busy    atomic.Bool // port 82 is in use
	changed chan struct{}
}

func newHost(t *testing.T, sotw bool) *host {
	t.Helper()
	h := &host{harness: serve(t, Limits{}), changed: make(chan struct{}, 1)}
	h.lacks.Store(true)
	h.Envoy = xdstest.NewEnvoy(xdstest.EnvoyConfig{
		Node: xdstest.Node("a", "edge", nil), SotW: sotw,
		Busy: func(address string) bool { return h.busy.Load() && strings.HasSuffix(address, ":82") },
		Changed: func(*xdstest.Envoy) {
			select {
			case h.changed <- struct{}{}:
			default:
			}
		},
		Missing: func(path string) bool { return h.lacks.Load() && strings.HasPrefix(path, "/h/") },
	})
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx, h.conn) }()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

// await waits for an event, whatever health discovery says meanwhile.
func (h *host) await(kind EventKind) Event {
	h.t.Helper()
	for {
		e := h.next()
		if e.Kind == kind {
			return e
		}
		if e.Kind == Served || e.Kind == Rejected {
			h.t.Fatalf("event %+v, want kind %d", e, kind)
		}
	}
}

// served waits until the proxy serves its target, whatever trouble of its own it said just before.
func (h *host) served() {
	h.t.Helper()
	for e := h.next(); e.Kind != Served; e = h.next() {
		if e.Kind == Rejected && !e.Trouble {
			h.t.Fatalf("refused: %+v", e)
		}
	}
}

// inTrouble checks that it refuses a target for its host, and answers as before.
func (h *host) inTrouble(when string, target *snapshot.Snapshot, words string, was xdstest.SimAnswer) {
	h.t.Helper()
	e := h.await(Rejected)
	if !e.Trouble || e.Revision != target.Pair || e.Message != words {
		h.t.Fatalf("%s: %+v", when, e)
	}
	if now := h.ask(); now.Failed != was.Failed || now.Status != was.Status || now.Certificate != was.Certificate {
		h.t.Fatalf("%s it answers %+v, and did %+v", when, now, was)
	}
}

func (h *host) ask() xdstest.SimAnswer {
	return h.Ask("0.0.0.0:443", xdstest.SimRequest{TLS: true})
}

// missingFiles are ways to name a file that is missing at first, and what comes of it when it is there.
var missingFiles = map[string]struct {
	parts []string
	words string
	then  xdstest.SimAnswer
}{
	"another secret": {
		[]string{"SECRET", "two", "CHAIN", "filename: /h/two.pem"},
		"Invalid path: /h/two.pem", xdstest.SimAnswer{Status: 200, Certificate: "/h/two.pem"},
	},
	"the same secret": {
		[]string{"CHAIN", "filename: /h/one.pem", "STATS", "b"},
		"Invalid path: /h/one.pem", xdstest.SimAnswer{Status: 200, Certificate: "/h/one.pem"},
	},
	"routes": {
		[]string{"ROUTES", "rds: {route_config_name: r, config_source: ADS}", "MORE", `
  routes: [{name: r, virtual_hosts: [{name: a, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 202, body: {filename: /h/body}}}]}]}]`},
		"Invalid path: /h/body", xdstest.SimAnswer{Status: 202, Certificate: "/ok/first.pem"},
	},
	"a filter": {
		[]string{"FILTER", `- {name: lua, config_discovery: {config_source: ADS, type_urls: ["type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"]}}`, "MORE", `
  extension_configs: [{name: lua, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, default_source_code: {filename: /h/f.lua}}}]`},
		"Invalid path: /h/f.lua", xdstest.SimAnswer{Status: 200, Certificate: "/ok/first.pem"},
	},
	"a cluster's secret": {
		[]string{"CA", `transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context: {validation_context_sds_secret_config: {name: ca, sds_config: ADS}}`, "MORE", "- {name: ca, validation_context: {trusted_ca: {filename: /h/ca.pem}}}"},
		"Invalid path: /h/ca.pem", xdstest.SimAnswer{Status: 200, Certificate: "/ok/first.pem"},
	},
}

// What a proxy lacks on its host costs it nothing that it has: neither at first, nor when it is
// tried again, nor on another stream; and it has it only when it has taken it.
func TestMissingFileCostsNothing(t *testing.T) {
	for name, one := range missingFiles {
		t.Run(name, func(t *testing.T) {
			variants(t, func(t *testing.T, sotw bool) {
				h := newHost(t, sotw)
				good, bad := hostFleetWith(t), hostFleetWith(t, one.parts...)
				h.await(Connected)
				h.Assign("a", good)
				h.await(Served)
				was := h.ask()
				if was.Status != 200 || was.Certificate != "/ok/first.pem" {
					t.Fatalf("at first it answers %+v", was)
				}
				h.Assign("a", bad)
				h.inTrouble("at first", bad, one.words, was)
				h.Retry("a")
				h.inTrouble("tried again", bad, one.words, was)
				h.Reconnect()
				h.await(Connected)
				h.Assign("a", bad)
				h.inTrouble("on another stream", bad, one.words, was)
				h.lacks.Store(false)
				h.Retry("a")
				if e := h.await(Served); e.Revision != bad.Pair {
					t.Errorf("it serves %s", e.Revision)
				}
				if now := h.ask(); now.Failed != "" || now.Status != one.then.Status || now.Certificate != one.then.Certificate {
					t.Errorf("in the end it answers %+v, want %+v", now, one.then)
				}
				for name := range h.Listeners() {
					if snapshot.InTrial(name) {
						t.Errorf("%s is still there", name)
					}
				}
			})
		})
	}
}

// A proxy that has nothing yet has a secret when it has taken it, however often it is sent.
func TestRefusedSecretIsNotTakenByItsBytes(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		h := newHost(t, sotw)
		target := hostFleetWith(t, "CHAIN", "filename: /h/one.pem")
		none := xdstest.SimAnswer{Failed: "it has no certificate"}
		h.await(Connected)
		h.Assign("a", target)
		for _, when := range []string{"at first", "then", "and then"} {
			h.inTrouble(when, target, "Invalid path: /h/one.pem", none)
			if when == "then" {
				h.Reconnect()
				h.await(Connected)
				h.Assign("a", target)
				continue
			}
			h.Retry("a")
		}
		h.inTrouble("at last", target, "Invalid path: /h/one.pem", none)
		h.lacks.Store(false)
		h.Retry("a")
		h.await(Served)
		if a := h.ask(); a.Certificate != "/h/one.pem" {
			t.Errorf("it answers %+v", a)
		}
	})
}
