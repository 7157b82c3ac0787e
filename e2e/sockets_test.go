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
	fleet := string(w.fleetYAML(fleetOptions{Checks: checks, Rollout: "{prove: 100ms, stages: [{name: all, percent: 100, bake: 0s, deadline: 20s}]}"}))
	const own = "      address: {socket_address: {address: 127.0.0.1, port_value: 1}}\n"
	if strings.Count(fleet, own) != 1 {
		w.t.Fatalf("the fleet has no %q", own)
	}
	return []byte(strings.Replace(fleet, own, fields, 1))
}

// A listener that is to have other sockets at the addresses that it has gets them, though
// Envoy acknowledges some of these changes without doing anything, and refuses others.
func TestSocketsOfAListener(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		w := newWorld(t)
		w.Variant = sotw
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
			{"of IPv6 only", where("::", ""), closed},
			{"and of IPv4", where("::", ", ipv4_compat: true"), open},
			{"a socket", fmt.Sprintf(pipe, ""), modeOf(path, 0o755)},
			{"of its owner's", fmt.Sprintf(pipe, ", mode: 384"), modeOf(path, 0o600)},
		}
		if sotw {
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
