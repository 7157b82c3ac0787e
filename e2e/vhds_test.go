package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// vhdsYAML is a fleet whose route has its virtual hosts by a service of their own.
func (w *world) vhdsYAML(hosts []string, body string, change int, second bool) []byte {
	listener, route := "", ""
	var more strings.Builder
	for _, host := range hosts {
		fmt.Fprintf(&more, `
    - {name: routes/%[1]s, domains: [%[1]s], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: %[2]s}}}]}`, host, body)
	}
	if second {
		listener = rig.Listener("second", "127.0.0.1:"+w.kinds[0], `
                rds: {route_config_name: others, config_source: {ads: {}, resource_api_version: V3}}`, "")
		route = `
    - {name: others, vhds: {config_source: {ads: {}, resource_api_version: V3}}}`
		more.WriteString(`
    - {name: others/d, domains: [d], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: d}}}]}`)
	}
	return w.fleetYAML(fleetOptions{
		Checks:  `[{request: {headers: {token: "432323"}}, expect: {status: 403}}]`,
		Rollout: straight,
		Tail: `
                rds: {route_config_name: routes, config_source: {ads: {}, resource_api_version: V3}}`,
		Extra: fmt.Sprintf(`%s
  routes:%s
    - name: routes
      request_headers_to_add: [{header: {key: x-change, value: "%d"}}]
      vhds: {config_source: {ads: {}, resource_api_version: V3}}
  virtual_hosts:%s
`, listener, route, change, more.String())})
}

func (p *proxy) host(host string) (answer, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+p.address+"/", nil)
	if err != nil {
		return answer{}, err
	}
	req.Host = host
	req.Header.Set("Token", "32323")
	return rig.Do(rig.Briefly, req)
}

// Virtual hosts that come by themselves are served, change and go.
func TestVirtualHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kinds = []string{port(t)}
	w.begins(w.vhdsYAML([]string{"a", "b"}, "one", 0, false), gate(t, 1))
	p := w.startProxy("edge-0")
	if before(t, 37) {
		w.refused(noHostsByADS)
		return
	}
	for i, step := range []struct {
		hosts  []string
		body   string
		change int // of the route alone
		second bool
	}{
		{[]string{"a", "b"}, "one", 0, false},
		{[]string{"a", "b"}, "two", 0, false},
		{[]string{"b", "c"}, "two", 0, false},
		{[]string{"b", "c"}, "two", 1, false},
		{[]string{"c"}, "four", 1, false},
		{[]string{"a"}, "three", 1, false},
		{[]string{"a"}, "three", 2, false},
		{[]string{"a"}, "three", 2, true},
	} {
		saved := time.Now()
		if i > 0 {
			save(t, w.fleet, w.vhdsYAML(step.hosts, step.body, step.change, step.second))
		}
		p.serves(w.revisionAfter(i + 1))
		t.Logf("served after %d ms", time.Since(saved).Milliseconds())
		for _, host := range []string{"a", "b", "c"} {
			want := 404
			if strings.Contains(strings.Join(step.hosts, ""), host) {
				want = 200
			}
			w.eventually(fmt.Sprintf("%s is answered %d %s", host, want, step.body), func() error {
				a, err := p.host(host)
				if err == nil && (a.Status != want || want == 200 && a.Body != step.body) {
					err = fmt.Errorf("%d %s", a.Status, a.Body)
				}
				return err
			})
		}
	}
	second := *p
	second.address = "127.0.0.1:" + w.kinds[0]
	w.eventually("the second route's host answers", func() error {
		a, err := second.host("d")
		if err == nil && a.Body != "d" {
			err = fmt.Errorf("%d %s", a.Status, a.Body)
		}
		return err
	})
	mustEqual(t, "fetches that timed out", p.stat("init_fetch_timeout$"), 0)
}
