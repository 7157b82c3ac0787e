package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// a listener of a fleet, and where it is.
type listenerAt struct{ name, address string }

// listenersYAML is a fleet with listeners, each of which answers with its own name.
func (w *world) listenersYAML(listeners []listenerAt) []byte {
	w.t.Helper()
	fleet := string(w.fleetYAML(fleetOptions{Checks: checks, Rollout: straight}))
	head, rest, _ := strings.Cut(fleet, "    - name: ingress\n")
	one, tail, _ := strings.Cut(rest, "  clusters:")
	var names []string
	for _, l := range listeners {
		host, port, _ := strings.Cut(l.address, ":")
		text := strings.Replace(one, "address: 127.0.0.1, port_value: 1}", "address: "+host+", port_value: "+port+"}", 1)
		text = strings.Replace(text, `{name: all,`, fmt.Sprintf(`{name: all, response_headers_to_add: [{header: {key: x-listener, value: %s}}],`, l.name), 1)
		head += "    - name: " + l.name + "\n" + text
		names = append(names, l.name)
	}
	return []byte(strings.Replace(head, "listeners: [ingress]", "listeners: ["+strings.Join(names, ", ")+"]", 1) + "  clusters:" + tail)
}

// startCallers has some ask addresses all the time, each time on a connection of its own.
func (w *world) startCallers(addresses ...string) *rig.Load {
	var all []rig.Asker
	for _, address := range slices.Repeat(addresses, 4) {
		all = append(all, func(int) error {
			_, err := answerAt(address)
			return err
		})
	}
	return w.asking(all...)
}

// answerAt asks an address, and returns which listener answered.
func answerAt(address string) (listener string, err error) {
	client := rig.Briefly
	req, err := http.NewRequest(http.MethodGet, "http://"+address, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Token", "32323")
	resp, err := client.Do(req)
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return "", op.Err // without the caller's port
	}
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	return resp.Header.Get("X-Listener"), nil
}

// A listener that is renamed where it is, and ports that are handed from one to
// another, under load: each is served. No request of a renamed one fails; where Envoy
// has to close a socket, those that wait in it do, and for two that change places what
// comes in the moment that both are gone.
func TestListenersRenamed(t *testing.T) {
	inTurn(t, func(t *testing.T, w *world) {
		write(t, w.module, gate(t, 1))
		a, b := freeAddress(t), freeAddress(t)
		everywhere := "0.0.0.0:" + a[strings.Index(a, ":")+1:]
		steps := []struct {
			name      string
			listeners []listenerAt
			closes    bool // Envoy closes a socket, and with it what waits there to be accepted
		}{
			{"two", []listenerAt{{"ingress", a}, {"other", b}}, false},
			{"one renamed", []listenerAt{{"web", a}, {"other", b}}, false},
			{"both renamed", []listenerAt{{"web-2", a}, {"another", b}}, false},
			{"two that change places", []listenerAt{{"web-2", b}, {"another", a}}, true},
			{"one renamed, its address taken by the other", []listenerAt{{"another", b}, {"web-2", a}}, true},
			{"a name that stays goes elsewhere", []listenerAt{{"another", a}, {"new", b}}, true},
			{"another address of the same port", []listenerAt{{"wide", everywhere}, {"new", b}}, true},
			{"and back", []listenerAt{{"narrow", a}, {"new", b}}, true},
		}
		var p *proxy
		var c *rig.Load
		for i, step := range steps {
			saved := time.Now()
			save(t, w.fleet, w.listenersYAML(step.listeners))
			if i == 0 {
				w.startServer()
				p = w.startProxy("edge-0", func(o *bootstrap.Options) { o.Listen = nil })
			}
			p.serves(w.revisionAfter(i + 1))
			took := time.Since(saved)
			for _, l := range step.listeners {
				address := strings.Replace(l.address, "0.0.0.0", "127.0.0.1", 1)
				w.eventually(l.name+" answers at "+address, func() error {
					name, err := answerAt(address)
					if err == nil && name != l.name {
						err = fmt.Errorf("%s does", name)
					}
					return err
				})
			}
			if c == nil {
				c = w.startCallers(a, b)
				continue
			}
			f := c.Figures()
			t.Logf("%s: served after %d ms; of %d requests %d failed for %d ms; the longest took %d ms",
				step.name, took.Milliseconds(), f.Asked, len(f.Wrong), f.Gap.Milliseconds(), f.Longest.Milliseconds())
			if len(f.Wrong) > 0 && (!step.closes || f.Gap > time.Second) {
				t.Errorf("%s: requests failed: %q", step.name, f.Wrong)
			}
		}
		c.End()
	})
}
