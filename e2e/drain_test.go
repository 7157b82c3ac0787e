package e2e

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// keepers ask a proxy on connections that they keep for as long as it does, until stop,
// which returns how many requests there were and the wrong answers.
func keepers(p *proxy) (stop func() (int, []string)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var wrong []string
	asked, done := 0, make(chan struct{})
	for range 4 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			defer client.CloseIdleConnections()
			for {
				err := p.passes(client)
				mu.Lock()
				asked++
				if err != "" {
					wrong = append(wrong, err)
				}
				mu.Unlock()
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	return func() (int, []string) {
		close(done)
		wg.Wait()
		return asked, wrong
	}
}

// passes asks once, and says what is wrong with the answer.
func (p *proxy) passes(client *http.Client) string {
	req, err := http.NewRequest(http.MethodGet, "http://"+p.address, nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Token", "32323")
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return resp.Status + " " + string(body)
	}
	return ""
}

// unharmed ends keepers, of which no request may have failed.
func unharmed(t *testing.T, stop func() (int, []string)) {
	t.Helper()
	asked, wrong := stop()
	t.Logf("%d of %d requests failed", len(wrong), asked)
	if len(wrong) > 0 || asked < 100 {
		t.Errorf("%d of %d requests failed: %.5q", len(wrong), asked, wrong)
	}
}

// A cluster that is renamed goes on being there for the connections that a listener still
// drains which named it.
func TestClusterRenamed(t *testing.T) {
	t.Parallel()
	variants(t, func(t *testing.T, sotw bool) {
		for _, noShadow := range []bool{false, true} {
			w := newWorld(t)
			w.Variant = sotw
			options := fleetOptions{Rollout: prompt, Checks: checks, NoShadow: noShadow}
			write(t, w.module, gate(t, 1))
			write(t, w.fleet, w.fleetYAML(options))
			w.startServer()
			p := w.proxies(1)[0]
			stop := keepers(p)
			for i, name := range []string{"one", "two", "echo"} {
				options.Cluster = name
				save(t, w.fleet, w.fleetYAML(options))
				p.serves(w.revisionAfter(i + 2))
			}
			unharmed(t, stop)
		}
	})
}

// Virtual hosts and scopes that a service gave go on being there for the connections that a
// listener still drains which had its routes by them.
func TestRoutesByServicesDrain(t *testing.T) {
	t.Parallel()
	const (
		ads    = "{ads: {}, resource_api_version: V3}"
		routes = `[{match: {prefix: /}, direct_response: {status: 200}}]`
		table  = `virtual_hosts: [{name: all, domains: ["*"], routes: ` + routes + `}]`
		inline = "\n                route_config: {" + table + "}"
		vhds   = "\n                rds: {route_config_name: r, config_source: " + ads + "}"
		hosts  = "\n  routes: [{name: r, vhds: {config_source: " + ads + "}}]\n  virtual_hosts: [{name: r/all, domains: [\"*\"], routes: " + routes + "}]"
		srds   = `
                scoped_routes:
                  name: scopes
                  rds_config_source: ` + ads + `
                  scoped_rds: {scoped_rds_config_source: ` + ads + `}
                  scope_key_builder: {fragments: [{header_value_extractor: {name: token, index: 0}}]}`
		scopes = "\n  routes: [{name: r, " + table + "}]\n  scoped_routes: [{name: s, key: {fragments: [{string_key: \"32323\"}]}, route_configuration_name: r}]"
	)
	for name, by := range map[string]fleetOptions{"vhds": {Tail: vhds, Extra: hosts}, "srds": {Tail: srds, Extra: scopes}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			by.Rollout = prompt
			w.begins(w.fleetYAML(by), gate(t, 1))
			if name == "vhds" && before(t, 37) || name == "srds" && before(t, 38) {
				w.startProxy("edge-0")
				w.refused(map[string]string{"vhds": noHostsByADS, "srds": noLateScopes}[name])
				return
			}
			p := w.proxies(1)[0]
			stop := keepers(p)
			save(t, w.fleet, w.fleetYAML(fleetOptions{Tail: inline, Extra: "\n  clusters: []", Rollout: prompt}))
			p.serves(w.revisionAfter(2))
			save(t, w.fleet, w.fleetYAML(by))
			p.serves(w.revisionAfter(3))
			unharmed(t, stop)
		})
	}
}
