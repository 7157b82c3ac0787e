package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// A cluster that is replaced by one of another name, with the route to it, under
// load: what refers moves before what it referred to goes.
func TestClusterReplaced(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		w.begins(w.resourcesYAML("echo-0", 0), gate(t, 1))
		p := w.proxies(1)[0]
		l := w.startLoad([]*proxy{p}, 2, "x-build")
		for n := 1; n <= 10; n++ {
			write(t, w.fleet, w.resourcesYAML(fmt.Sprintf("echo-%d", n), n))
			p.serves(w.revisionAfter(n + 1))
			w.eventually("the new cluster is there, beside the one before, which old connections use", func() error {
				text, err := w.get("http://" + p.admin + "/clusters")
				if err == nil && (!strings.Contains(text, fmt.Sprintf("echo-%d::", n-1)) || !strings.Contains(text, fmt.Sprintf("echo-%d::", n))) {
					err = fmt.Errorf("%s", text)
				}
				return err
			})
		}
		l.end()
		p.leftAlone()
	})
}

// revisionAfter waits for the good revision with a number.
func (w *world) revisionAfter(number int) (id string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("revision %d is good", number), func() error {
		f, err := w.onlyFleet()
		if err == nil && f.Serving.Number != number {
			err = fmt.Errorf("%d is", f.Serving.Number)
		}
		if err == nil {
			id = f.Serving.ID
		}
		return err
	})
	return id
}

// resourcesYAML is a fleet whose route, cluster, endpoints and secret each come
// by a discovery service of their own. With n its cluster changes, too.
func (w *world) resourcesYAML(cluster string, n int) []byte {
	root, _ := certificate(w.t, 0)
	host, port := w.service()
	return w.fleetYAML(fleetOptions{
		Tail: `
                rds: {route_config_name: routes, config_source: {ads: {}, resource_api_version: V3}}`,
		Extra: fmt.Sprintf(`
  routes:
    - name: routes
      virtual_hosts:
        - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: %[1]s}}]}
  clusters:
    - name: %[1]s
      type: EDS
      connect_timeout: 1.%03[4]ds
      eds_cluster_config: {service_name: endpoints, eds_config: {ads: {}, resource_api_version: V3}}
    - name: with-tls
      type: STATIC
      connect_timeout: 1s
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context:
            validation_context_sds_secret_config: {name: roots, sds_config: {ads: {}, resource_api_version: V3}}
  endpoints:
    - cluster_name: endpoints
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %[2]s, port_value: %[3]s}}}}]}]
  secrets:
    - name: roots
      validation_context: {trusted_ca: {inline_string: %[5]q}}
`, cluster, host, port, n, root)})
}

// A cluster that changes while its endpoints do not: Envoy makes a new cluster
// of it and must get the endpoints again.
func TestEndpointsAfterClusterChange(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		w.begins(w.resourcesYAML("echo", 0), gate(t, 1))
		p := w.proxies(1)[0]
		p.guards()
		l := w.startLoad([]*proxy{p}, 2, "x-build")
		for n := 1; n <= 3; n++ {
			write(t, w.fleet, w.resourcesYAML("echo", n))
			p.serves(w.revisionAfter(n + 1))
			w.eventually("the changed cluster is in use", func() error {
				if warming := p.stat("^cluster_manager.warming_clusters$"); warming != 0 {
					return fmt.Errorf("%d clusters are warming", warming)
				}
				return nil
			})
			p.guards()
		}
		mustEqual(t, "fetches of endpoints that timed out", p.stat("init_fetch_timeout$"), 0)
		l.end()
	})
}
