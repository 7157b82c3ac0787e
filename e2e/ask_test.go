package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// answer is what a proxy said to one request.
type answer = rig.Answer

// ask sends a request through the proxy on a connection of its own.
func (p *proxy) ask(header ...string) (answer, error) {
	return rig.Ask(p.w.t.Context(), p.address, header...)
}

func (p *proxy) askWith(client *http.Client, path string, header ...string) (answer, error) {
	req, err := rig.Request(p.w.t.Context(), "http://"+p.address+path, header...)
	if err != nil {
		return answer{}, err
	}
	return rig.Do(client, req)
}

// wants checks an answer.
func (p *proxy) wants(status int, body string, header ...string) {
	p.w.t.Helper()
	a, err := p.ask(header...)
	if err != nil || a.Status != status || a.Body != body {
		p.w.t.Errorf("%s asked with %q: %d %q, %v; want %d %q", p.Node, header, a.Status, a.Body, err, status, body)
	}
}

const (
	welcome   = "Welcome to WASM land\n"
	forbidden = "Access forbidden.\n"
)

// guards checks that the proxy lets the right token through and no other.
func (p *proxy) guards() {
	p.w.t.Helper()
	p.wants(200, welcome, "token", "32323")
	p.wants(403, forbidden, "token", "323232")
	p.wants(403, forbidden)
}

// runs waits until the proxy's answers come from a build of the filter.
func (p *proxy) runs(header, build string) {
	p.w.t.Helper()
	p.w.eventually(p.Node+" answers by "+build, func() error {
		a, err := p.ask("token", "32323")
		if err == nil && a.Header.Get(header) != build {
			err = fmt.Errorf("%d, %s: %q", a.Status, header, a.Header.Get(header))
		}
		return err
	})
}

// build is what the small filter says of itself.
func build(n int) string { return fmt.Sprintf("%08d", n) }

// stat reads one of Envoy's counters or gauges; absent is 0.
func (p *proxy) stat(name string) int {
	p.w.t.Helper()
	text, err := p.w.get("http://" + p.admin + "/stats?filter=" + name)
	if err != nil {
		p.w.t.Fatal(err)
	}
	sum := 0
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if _, value, ok := strings.Cut(line, ": "); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				p.w.t.Fatalf("%s: %v", line, err)
			}
			sum += n
		}
	}
	return sum
}

// rejections are how often a proxy refused the filter.
func (p *proxy) rejections() int {
	p.w.t.Helper()
	return p.stat("extension_config_discovery.http_filter.gate.config_fail$")
}

// updates are how many responses a proxy has applied.
func (p *proxy) updates() int {
	p.w.t.Helper()
	return p.stat("^cluster_manager.cds.update_success$") + p.stat("^listener_manager.lds.update_success$") +
		p.stat("extension_config_discovery.http_filter.gate.config_reload$")
}

// serves waits until the server says that the proxy serves a revision.
func (p *proxy) serves(id string) {
	p.w.t.Helper()
	p.is(p.Node+" serves "+id, func(s api.Proxy) bool { return s.State == api.ProxyServing && s.Served.ID == id })
}

// is waits until what the server says of the proxy is so.
func (p *proxy) is(what string, so func(api.Proxy) bool) {
	p.w.t.Helper()
	p.w.eventually(what, func() error {
		s, err := p.statusOf()
		if err == nil && !so(s) {
			err = fmt.Errorf("the status is %s", asJSON(s))
		}
		return err
	})
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// fleetIs waits until what the server says of the only fleet is so.
func (w *world) fleetIs(what string, so func(api.Fleet) bool) {
	w.t.Helper()
	w.eventually(what, func() error {
		f, err := w.onlyFleet()
		if err == nil && !so(f) {
			err = fmt.Errorf("the status is %s", asJSON(f))
		}
		return err
	})
}

func (p *proxy) statusOf() (api.Proxy, error) {
	s, err := p.w.status()
	for _, status := range s.Proxies {
		if status.Node == p.Node {
			return status, nil
		}
	}
	return api.Proxy{}, errors.Join(fmt.Errorf("%s is not connected", p.Node), err)
}

// servingRevision waits until the only fleet has a good revision, accepted by n
// proxies, and returns its ID.
func (w *world) servingRevision(n int) string {
	w.t.Helper()
	id := ""
	w.eventually(fmt.Sprintf("%d proxies serve one good revision", n), func() error {
		s, err := w.status()
		if err != nil {
			return err
		}
		if len(s.Fleets) != 1 || s.Fleets[0].Serving.ID == "" || s.Fleets[0].Candidate.ID != "" {
			return fmt.Errorf("fleets: %+v", s.Fleets)
		}
		id = s.Fleets[0].Serving.ID
		serving := 0
		for _, p := range s.Proxies {
			if p.State == api.ProxyServing && p.Served.ID == id {
				serving++
			}
		}
		if serving != n {
			return fmt.Errorf("%d serve it: %+v", serving, s.Proxies)
		}
		return nil
	})
	return id
}

// problem waits until the server says what is wrong on disk; "" waits until nothing is.
func (w *world) problem(want string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("the server says %q", want), func() error {
		s, err := w.status()
		if err != nil {
			return err
		}
		var all []string
		for _, p := range s.Problems {
			all = append(all, p)
		}
		for _, f := range s.Fleets {
			if f.Problem != "" {
				all = append(all, f.Problem)
			}
		}
		text := strings.Join(all, "\n")
		if want == "" && text != "" || !strings.Contains(text, want) {
			return fmt.Errorf("it says %q", text)
		}
		return nil
	})
}

// logged counts the lines of the server's log that hold all the words.
func (w *world) logged(words ...string) int {
	n := 0
lines:
	for line := range strings.SplitSeq(w.log(), "\n") {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		n++
	}
	return n
}

func mustEqual(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}
