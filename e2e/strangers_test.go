package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/certs"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// tries is how often each way in is tried.
const tries = 1000

// Who is no proxy of a fleet, or another than it says, gets nothing and does nothing, however
// often it is tried: no byte, no event of a proxy, no change of a rollout. A rollout is on its
// way all the while, at the canary, and goes on to its end afterwards.
func TestStrangers(t *testing.T) {
	t.Parallel()
	w := secured(t, "edge-0", "edge-1")
	w.begins(w.fleetYAML(fleetOptions{}), gate(t, 0))
	p := w.securedProxies("edge-0")[0]
	write(t, w.fleet, w.fleetYAML(fleetOptions{Rollout: `{stages: [{name: canary, percent: 100, approve: manual}]}`}))
	save(t, w.module, gate(t, 1))
	w.fleetIs("the canary waits for a person", func(f api.Fleet) bool { return f.Rollout != nil && f.Rollout.Awaiting })
	before := w.effects()

	for what, config := range w.strangers() {
		w.thousandTimes(what, func() error { return w.knock(config) })
	}
	own := w.dialAs("edge-1")
	for what, say := range claims(own) {
		w.thousandTimes(what, func() error { return refusedStream(t.Context(), say) })
	}

	w.eventually("all is as before", func() error { // the last stream is yet to be seen as gone
		if after := w.effects(); after != before {
			return fmt.Errorf("before\n%s\nafter\n%s", before, after)
		}
		return nil
	})
	must(t, w.command(api.VerbPromote))
	p.runs("x-build", build(1))
	p.guards()
	w.portIs("all were counted", func(p api.Port) bool {
		for _, reason := range []string{"no_certificate", "expired", "not_yet_valid"} {
			if p.Refused[reason] < tries {
				return false
			}
		}
		return p.Refused["untrusted"] >= 2*tries && p.Refused["other_node"] >= 6*tries && p.Refused["node_changed"] >= 6*tries
	})
	if n := w.logged("refused at the xDS port"); n > 200 {
		t.Errorf("%d lines of the log say so", n)
	}
}

// effects are all that a stranger could have changed.
func (w *world) effects() string {
	w.t.Helper()
	s, err := w.status()
	if err != nil {
		w.t.Fatal(err)
	}
	text := ""
	for _, f := range s.Fleets {
		text += fmt.Sprintf("%s serves %v, tries %v, rejected %v, rollout %s, troubled %v, degraded %v\n",
			f.Fleet, f.Serving, f.Candidate, f.Rejected, asJSON(f.Rollout), f.Troubled, f.Degraded)
	}
	for _, p := range s.Proxies {
		text += fmt.Sprintf("%s %s since %v, serves %v, %d streams, %v, refused %v\n", p.Node, p.State, p.Connected, p.Served, p.Streams, p.Missing, p.LastNACK)
	}
	entries, err := w.server.API.History(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	return text + asJSON(entries) + w.stored()
}

// stored is what the state directory has, as hashes.
func (w *world) stored() (text string) {
	w.t.Helper()
	must(w.t, filepath.WalkDir(w.server.File("state"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		text += fmt.Sprintf("\n%s %x", path, sha256.Sum256(data))
		return err
	}))
	return text
}

// thousandTimes does something so often, some at once.
func (w *world) thousandTimes(what string, try func() error) {
	w.t.Helper()
	begun := time.Now()
	var left, failed atomic.Int64
	left.Store(tries)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := try(); err != nil && failed.Add(1) == 1 {
					w.t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
	wg.Wait()
	w.t.Logf("%s: %d of %d got in, %v", what, failed.Load(), tries, time.Since(begun).Round(time.Millisecond))
}

// strangers are those whom no handshake may let in.
func (w *world) strangers() map[string]*tls.Config {
	w.t.Helper()
	now := time.Now()
	own, err := certs.ReadAuthority(w.certs())
	must(w.t, err)
	other, err := certs.NewAuthority("Waxwing development CA", now.Add(-time.Hour), now.Add(time.Hour))
	must(w.t, err)
	presents := func(a *certs.Authority, r certs.Request, from, until time.Duration) *tls.Config {
		r.DNS, r.From, r.Until = []string{"edge-0"}, now.Add(from), now.Add(until)
		made, err := a.Issue(r)
		must(w.t, err)
		c, err := tls.X509KeyPair(made.Cert, made.Key)
		must(w.t, err)
		return &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }}
	}
	return map[string]*tls.Config{
		"no certificate": {},
		"expired":        presents(own, certs.Request{}, -2*time.Hour, -time.Hour),
		"not yet valid":  presents(own, certs.Request{}, time.Hour, 2*time.Hour),
		"another CA":     presents(other, certs.Request{}, -time.Hour, time.Hour),
		"a server's":     presents(own, certs.Request{Server: true}, -time.Hour, time.Hour),
	}
}

// knock connects and says what a client of HTTP/2 says first. Not a byte may come back.
func (w *world) knock(config *tls.Config) error {
	config = config.Clone()
	config.InsecureSkipVerify, config.NextProtos = true, []string{"h2"}
	conn, err := tls.Dial("tcp", w.listen, config)
	if err != nil {
		return nil // not even that
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, _ = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")) // it may be cut off before
	got, err := io.ReadAll(conn)
	if len(got) > 0 || err == nil {
		return fmt.Errorf("%d bytes came back, and then %w", len(got), err)
	}
	return nil
}

// dialAs is a connection with the certificate of a node.
func (w *world) dialAs(node string) *grpc.ClientConn {
	w.t.Helper()
	dir := certs.ProxyDir(w.certs(), node)
	c, err := tls.LoadX509KeyPair(filepath.Join(dir, certs.CertFile), filepath.Join(dir, certs.KeyFile))
	must(w.t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read(w.t, filepath.Join(dir, certs.CAFile)))
	conn, err := grpc.NewClient(w.listen, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{c}, RootCAs: roots})))
	must(w.t, err)
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// A claim opens a stream and says on it that it is another's.
type claim func(context.Context) (grpc.ClientStream, error)

// claims are those of a client with the certificate of edge-1 to be edge-0, at once or after
// it was itself, of a cluster that no fleet has.
func claims(conn *grpc.ClientConn) map[string]claim {
	ads, hds, metrics := discoveryv3.NewAggregatedDiscoveryServiceClient(conn), healthv3.NewHealthDiscoveryServiceClient(conn), metricsv3.NewMetricsServiceClient(conn)
	self, other := &corev3.Node{Id: "edge-1", Cluster: "nowhere"}, &corev3.Node{Id: "edge-0", Cluster: "edge"}
	out := map[string]claim{}
	for what, nodes := range map[string][]*corev3.Node{"another's node id": {other}, "a node id that changes": {self, other}} {
		out[what+", delta"] = said(ads.DeltaAggregatedResources, nodes, func(n *corev3.Node) *discoveryv3.DeltaDiscoveryRequest {
			return &discoveryv3.DeltaDiscoveryRequest{Node: n, TypeUrl: resource.ListenerType}
		})
		out[what+", sotw"] = said(ads.StreamAggregatedResources, nodes, func(n *corev3.Node) *discoveryv3.DiscoveryRequest {
			return &discoveryv3.DiscoveryRequest{Node: n, TypeUrl: resource.ListenerType}
		})
		out[what+", health"] = said(hds.StreamHealthCheck, nodes, func(n *corev3.Node) *healthv3.HealthCheckRequestOrEndpointHealthResponse {
			return &healthv3.HealthCheckRequestOrEndpointHealthResponse{
				RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_HealthCheckRequest{HealthCheckRequest: &healthv3.HealthCheckRequest{Node: n}},
			}
		})
		// A report that says no node is of whom the stream is from, or of nobody.
		out[what+", health report"] = said(hds.StreamHealthCheck, append([]*corev3.Node{nodes[0], nil}, other), healthReport)
		out[what+", counters"] = said(metrics.StreamMetrics, append([]*corev3.Node{nodes[0], nil}, other), counters)
		out[what+", metrics"] = said(metrics.StreamMetrics, nodes, func(n *corev3.Node) *metricsv3.StreamMetricsMessage {
			return &metricsv3.StreamMetricsMessage{Identifier: &metricsv3.StreamMetricsMessage_Identifier{Node: n}}
		})
	}
	return out
}

// healthReport is a hello of a node, or of none a report that all that it is asked fails.
func healthReport(n *corev3.Node) *healthv3.HealthCheckRequestOrEndpointHealthResponse {
	if n != nil {
		return &healthv3.HealthCheckRequestOrEndpointHealthResponse{
			RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_HealthCheckRequest{HealthCheckRequest: &healthv3.HealthCheckRequest{Node: n}},
		}
	}
	return &healthv3.HealthCheckRequestOrEndpointHealthResponse{
		RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_EndpointHealthResponse{EndpointHealthResponse: &healthv3.EndpointHealthResponse{
			ClusterEndpointsHealth: []*healthv3.ClusterEndpointsHealth{{
				ClusterName: "waxwing",
				LocalityEndpointsHealth: []*healthv3.LocalityEndpointsHealth{{
					EndpointsHealth: []*healthv3.EndpointHealth{{HealthStatus: corev3.HealthStatus_UNHEALTHY}},
				}},
			}},
		}},
	}
}

// counters say of a node, or of none, that a filter has crashed and that all requests failed.
func counters(n *corev3.Node) *metricsv3.StreamMetricsMessage {
	m := &metricsv3.StreamMetricsMessage{EnvoyMetrics: []*dto.MetricFamily{
		xdstest.Counter("http.ingress.downstream_rq_5xx", 1000), xdstest.Counter("http.ingress.downstream_rq_completed", 1000),
		xdstest.Counter("wasm.envoy.wasm.runtime.v8.vm_reload_backoff", 10),
	}}
	if n != nil {
		m.Identifier = &metricsv3.StreamMetricsMessage_Identifier{Node: n}
	}
	return m
}

// said opens a stream and sends a message from each node.
func said[M any, S interface {
	grpc.ClientStream
	Send(M) error
}](open func(context.Context, ...grpc.CallOption) (S, error), nodes []*corev3.Node, message func(*corev3.Node) M) claim {
	return func(ctx context.Context) (grpc.ClientStream, error) {
		s, err := open(ctx)
		for _, n := range nodes {
			if err == nil {
				err = s.Send(message(n))
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil // receiving says why
		}
		return s, err
	}
}

// refusedStream is nil where a stream ends for who it is from, and nothing but that came of it. A
// health discovery stream begins with a plan of nothing.
func refusedStream(ctx context.Context, say claim) error {
	s, err := say(ctx)
	if err != nil {
		return err
	}
	for err == nil {
		var got healthv3.HealthCheckSpecifier
		if err = s.RecvMsg(&got); err == nil && len(got.GetClusterHealthChecks()) > 0 {
			return fmt.Errorf("it was sent %v", &got)
		}
		if err == nil && len(got.ProtoReflect().GetUnknown()) > 0 {
			return errors.New("it was sent resources")
		}
	}
	if status.Code(err) != codes.PermissionDenied {
		return fmt.Errorf("it ended with %w", err)
	}
	return nil
}
