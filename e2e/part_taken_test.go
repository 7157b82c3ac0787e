package e2e

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// withSecond is a fleet file with a second listener, which answers by itself.
func withSecond(file []byte, address string) string {
	second := rig.Listener("second", address, `
                route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}`, "")
	return strings.Replace(string(file), "  listeners:\n", "  listeners:"+second+"\n", 1)
}

// triedAgain waits until the proxy has refused listeners so many times.
func (p *proxy) triedAgain(times int) {
	p.w.t.Helper()
	p.w.eventually("it is tried again", func() error {
		if n := p.stat("listener_manager.lds.update_rejected"); n < times {
			return fmt.Errorf("%d of %d times", n, times)
		}
		return nil
	})
}

// A save adds a listener whose port another process has, and has another listener of the proxy
// send its requests nowhere, or let all of them in. None of it is on the proxy while the port is
// in use, however often it is tried; what it answers with is what it says; and with the port
// free the fault is found.
func TestNothingIsTakenInPart(t *testing.T) {
	t.Parallel()
	live := strings.ReplaceAll(checks, "request:", "where: [live], request:")
	for name, c := range map[string]struct {
		checks string
		module []byte
	}{
		"a cluster that leads nowhere": {checks, nil},
		"a filter that lets all in":    {live, allowsAll(t)},
	} {
		t.Run(name, func(t *testing.T) {
			worlds(t, func(t *testing.T, w *world) {
				o := fleetOptions{Rollout: staged, Checks: c.checks}
				w.begins(w.fleetYAML(o), gate(t, 1))
				p := w.proxies(1)[0]
				before := p.stat("listener_manager.lds.update_rejected")
				stop := users([]*proxy{p})
				second := freeAddress(t)
				busy := occupy(t, second)
				text := withSecond(w.fleetYAML(o), second)
				if c.module == nil {
					_, port := w.service()
					text = strings.ReplaceAll(text, "port_value: "+port, "port_value: 1")
				} else {
					write(t, w.module, c.module)
				}
				save(t, w.fleet, []byte(text))
				p.inTrouble("Address already in use")
				p.triedAgain(before + 3)
				p.is("it serves what it had", func(s api.Proxy) bool { return s.Served.Number == 1 && s.Part.ID == "" && s.Wanted.Number > 1 })
				w.crashServer()
				p.inTrouble("Address already in use")
				p.triedAgain(before + 5)
				p.is("it serves what it had", func(s api.Proxy) bool { return s.Served.Number == 1 && s.Part.ID == "" })
				wrong := stop()
				if len(wrong) > 0 {
					t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
				}
				busy.Close()
				w.rejection(0)
				p.is("it is back", func(s api.Proxy) bool { return s.Served.Number == 1 && s.State == api.ProxyServing })
			})
		})
	}
}

// A listener is renamed at its address, and the port of a new one is in use for a while: nobody
// is refused meanwhile, and with the port free the proxy has both.
func TestRenamedWhileAPortIsInUse(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		w.begins(w.fleetYAML(fleetOptions{Rollout: staged, Checks: checks}), gate(t, 1))
		address := freeAddress(t)
		p := w.startProxy("edge-0", func(o *bootstrap.Options) { o.Listen = map[string]string{"ingress": address, "web": address} })
		p.address = address
		p.serves(w.servingRevision(1))
		before := p.stat("listener_manager.lds.update_rejected")
		stop := users([]*proxy{p})
		second := freeAddress(t)
		busy := occupy(t, second)
		text := withSecond(w.fleetYAML(fleetOptions{Rollout: staged, Checks: checks}), second)
		text = strings.NewReplacer("name: ingress", "name: web", "listeners: [ingress]", "listeners: [web]").Replace(text)
		save(t, w.fleet, []byte(text))
		p.inTrouble("Address already in use")
		p.triedAgain(before + 3)
		busy.Close()
		w.fleetIs("it is served", func(f api.Fleet) bool { return f.Serving.Number == 2 })
		p.is("it is out of trouble", func(s api.Proxy) bool { return s.State == api.ProxyServing && s.Trouble == "" && s.Served.Number == 2 })
		w.eventually("the second listener answers", func() error {
			c, err := net.Dial("tcp", second)
			if err != nil {
				return errors.New("it does not listen")
			}
			return c.Close()
		})
		if wrong := stop(); len(wrong) > 0 {
			t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
		}
		w.noneRejected()
	})
}

// What can't be told beforehand, a file of the proxy's host that a listener names, is taken in
// part for a moment at each try, and put back at once.
func TestWhatIsTakenInPartIsPutBack(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		o := fleetOptions{Rollout: staged, Checks: checks}
		w.begins(w.fleetYAML(o), gate(t, 1))
		p := w.proxies(1)[0]
		before := p.stat("listener_manager.lds.update_rejected")
		stop := users([]*proxy{p})
		text := withSecond(w.fleetYAML(o), freeAddress(t))
		text = strings.Replace(text, "stat_prefix: second", `stat_prefix: second
                access_log:
                  - name: file
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /nonexistent/a.log}`, 1)
		_, port := w.service()
		save(t, w.fleet, []byte(strings.ReplaceAll(text, "port_value: "+port, "port_value: 1")))
		p.inTrouble("unable to open file")
		p.triedAgain(before + 3)
		p.is("it serves what it had", func(s api.Proxy) bool { return s.Served.Number == 1 && s.Part.ID == "" && s.Shadow.Number == 2 })
		wrong := stop()
		t.Logf("%d wrong answers in three tries", len(wrong))
		if len(wrong) > 60 {
			t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
		}
	})
}

// A first revision of two listeners, one of which lets all in and the other has its port taken:
// nobody is let in while that lasts.
func TestFirstRevisionIsOpenedWholeOrNotAtAll(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		o := fleetOptions{Rollout: staged, Checks: strings.ReplaceAll(checks, "request:", "where: [live], request:")}
		second := freeAddress(t)
		busy := occupy(t, second)
		w.begins([]byte(withSecond(w.fleetYAML(o), second)), allowsAll(t))
		p := w.startProxy("edge-0")
		l := w.asking(func(int) error {
			if a, err := p.askWith(rig.Briefly, "/", "token", "432323"); err == nil {
				return fmt.Errorf("it was answered %d", a.Status)
			}
			return nil
		})
		p.inTrouble("Address already in use")
		p.triedAgain(3)
		if wrong := l.End().Wrong; len(wrong) > 0 {
			t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
		}
		busy.Close()
		w.rejection(0)
	})
}
