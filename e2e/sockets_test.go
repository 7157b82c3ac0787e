package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
)

// socketYAML is a fleet of one listener with some fields of its own.
func (w *world) socketYAML(fields string) []byte {
	w.t.Helper()
	fleet := string(w.fleetYAML(fleetOptions{Checks: checks, Rollout: straight}))
	const own = "      address: {socket_address: {address: 127.0.0.1, port_value: 1}}\n"
	if strings.Count(fleet, own) != 1 {
		w.t.Fatalf("the fleet has no %q", own)
	}
	return []byte(strings.Replace(fleet, own, fields, 1))
}

// A listener that is to have other sockets at the addresses that it has gets them, though
// Envoy acknowledges some of these changes without doing anything, and refuses others.
func TestSocketsOfAListener(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		write(t, w.module, gate(t, 1))
		address, path := freeAddress(t), filepath.Join(w.dir, "s")
		where := func(host, more string) string {
			_, port, _ := strings.Cut(address, ":")
			return "      address: {socket_address: {address: '" + host + "', port_value: " + port + more + "}}\n"
		}
		here, pipe := where("127.0.0.1", ""), "      address: {pipe: {path: "+path+"%s}}\n"
		open, closed := answersAt(address), refusesAt(address)
		steps := []struct {
			name, fields string
			ok           func() error
		}{
			{"not bound", here + "      bind_to_port: false\n", closed},
			{"bound", here, open},
			{"not bound any more", here + "      bind_to_port: false\n", closed},
			{"bound, and alone", here + "      enable_reuse_port: false\n", open},
			{"alone, on every interface", where("0.0.0.0", "") + "      enable_reuse_port: false\n", open},
			{"with another option", where("0.0.0.0", "") + "      enable_reuse_port: false\n      freebind: true\n", open},
			{"beside others", here, open},
			{"twice", here + "      additional_addresses: [{" + strings.TrimSpace(here) + "}]\n", open},
			{"of IPv6 only", where("::", ""), closed},
			{"and of IPv4", where("::", ", ipv4_compat: true"), open},
			{"a socket", fmt.Sprintf(pipe, ""), modeOf(path, 0o755)},
			{"of its owner's", fmt.Sprintf(pipe, ", mode: 384"), modeOf(path, 0o600)},
			{"twice a socket", fmt.Sprintf(pipe, "") + "      additional_addresses: [{" + strings.TrimSpace(fmt.Sprintf(pipe, "")) + "}]\n", modeOf(path, 0o755)},
		}
		if w.Variant {
			steps = steps[:4]
		}
		var p *proxy
		for i, step := range steps {
			save(t, w.fleet, w.socketYAML(step.fields))
			if i == 0 {
				w.startServer()
				p = w.startProxy("edge-0", func(o *bootstrap.Options) { o.Listen = nil })
			}
			p.serves(w.revisionAfter(i + 1))
			w.eventually(step.name, step.ok)
		}
	})
}

// clientsYAML is a fleet of a listener "ingress" at an address and one, "other", with a
// place of its own, which answers by itself.
func (w *world) clientsYAML(ingress, place string) []byte {
	w.t.Helper()
	const manager = `{
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: other,
        route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]},
        http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}`
	_, port, _ := strings.Cut(ingress, ":")
	fleet := string(w.socketYAML("      address: {socket_address: {address: 127.0.0.1, port_value: " + port + "}}\n"))
	return []byte(strings.Replace(fleet, "  clusters:\n", "    - name: other\n"+strings.ReplaceAll(place, "MANAGER", manager)+"  clusters:\n", 1))
}

// A listener that becomes one for gRPC clients is closed, though an Envoy ignores what it
// becomes; and one for clients is opened when it becomes an Envoy's.
func TestListenerBecomesTheClients(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		write(t, w.module, gate(t, 1))
		ingress, other := freeAddress(t), freeAddress(t)
		_, port, _ := strings.Cut(other, ":")
		at := "      address: {socket_address: {address: 127.0.0.1, port_value: " + port + "}}\n"
		tcp := at + "      filter_chains: [{filters: [{name: manager, typed_config: MANAGER}]}]\n"
		clients := "      api_listener: {api_listener: MANAGER}\n"
		open, closed := answersAt(other), refusesAt(other)
		var p *proxy
		for i, step := range []struct {
			name, place string
			ok          func() error
		}{
			{"open", tcp, open},
			{"for clients", clients, closed},
			{"open again", tcp, open},
			{"for clients, and with an address", at + clients, closed},
			{"for clients, elsewhere", clients, closed},
			{"open once more", tcp, open},
		} {
			save(t, w.fleet, w.clientsYAML(ingress, step.place))
			if i == 0 {
				w.startServer()
				p = w.startProxy("edge-0", func(o *bootstrap.Options) { o.Listen = nil })
			}
			p.serves(w.revisionAfter(i + 1))
			w.eventually(step.name, step.ok)
			if _, err := answerAt(ingress); err != nil {
				t.Errorf("%s: the other listener: %v", step.name, err)
			}
		}
	})
}

func answersAt(address string) func() error {
	return func() error {
		_, err := answerAt(address)
		return err
	}
}

func refusesAt(address string) func() error {
	return func() error {
		if _, err := answerAt(address); err == nil {
			return errors.New("it answers")
		}
		return nil
	}
}

func modeOf(path string, mode os.FileMode) func() error {
	return func() error {
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm() != mode {
			err = fmt.Errorf("its rights are %s, want %s", info.Mode().Perm(), mode)
		}
		return err
	}
}
