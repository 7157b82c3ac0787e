package identity_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/xds"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// anyEdge lets each certificate claim each of some node ids.
const anyEdge = `[{dns: "*", nodes: ["edge-*"]}]`

// shared is a node whose id more than one certificate may claim.
func shared(t *testing.T) *corev3.Node {
	n := node("edge-1")
	n.Metadata = xdstest.Metadata(t, `{"labels": {"tier": "a"}, "waxwing": {"evidence": ["health", "metrics"]}, "waxwing.certificate": "host-a"}`)
	return n
}

// speaks opens a stream of a service as a node, and returns under which name it is known: that of
// the first event of it, which metrics are only with their first flush.
func (p *port) speaks(ctx context.Context, service string, conn *grpc.ClientConn, n *corev3.Node) (stream grpc.ClientStream, name string) {
	p.t.Helper()
	stream, message, err := services[service](ctx, conn)
	if err == nil {
		err = stream.SendMsg(message(proto.CloneOf(n)))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	e := p.next()
	if fleet.SaidID(e.Node) != n.GetId() {
		p.t.Fatalf("%s: an event of %q", service, fleet.SaidID(e.Node))
	}
	return stream, e.ID()
}

// orders are all orders of some things.
func orders(of []string) (out [][]string) {
	if len(of) < 2 {
		return [][]string{of}
	}
	for i, first := range of {
		for _, rest := range orders(slices.Delete(slices.Clone(of), i, i+1)) {
			out = append(out, append([]string{first}, rest...))
		}
	}
	return out
}

// Who has another certificate, and is let claim the same node id, is a proxy of its own: in
// whatever order the streams of both come, none of one counts for the other, and none ends.
func TestCertificatesDiffer(t *testing.T) {
	p := guarded(t, anyEdge, "host-a", "host-b")
	conns := map[string]*grpc.ClientConn{"a": p.as("host-a"), "b": p.as("host-b")}
	ended := make(chan error, 1)
	id := 0
	differ := func(order []string) { // of "a delta" and the like
		id++
		n := shared(t)
		n.Id = fmt.Sprint("edge-", id)
		names := map[string][]string{}
		for _, who := range order {
			whose, service, _ := strings.Cut(who, " ")
			stream, name := p.speaks(p.ctx, service, conns[whose], n)
			names[whose] = append(names[whose], name)
			go func() {
				select {
				case ended <- p.end(stream):
				default:
				}
			}()
		}
		first, second := slices.Compact(names[order[0][:1]]), slices.Compact(names["b"])
		if order[0][:1] == "b" {
			second = slices.Compact(names["a"])
		}
		if len(first) != 1 || first[0] != n.GetId() || len(second) != 1 || !strings.HasPrefix(second[0], n.GetId()+"~") {
			t.Errorf("%q: the first is known as %q, the second as %q", order, first, second)
		}
	}
	for _, ads := range []string{"delta", "sotw"} {
		for _, order := range orders([]string{"a " + ads, "a health", "a metrics", "b " + ads, "b health"}) {
			differ(order)
		}
		for _, order := range orders([]string{"a " + ads, "b health", "b metrics"}) {
			differ(order)
		}
	}
	select {
	case err := <-ended:
		t.Errorf("a stream was ended: %v", err)
	default:
	}
}

// One that says no more than its id is of whom its certificate says, too; and a certificate whose
// name is the same, as one that was renewed has it, is of the same proxy.
func TestSameCertificateName(t *testing.T) {
	for service := range services {
		p := guarded(t, anyEdge, "host-a", "host-b")
		bare := &corev3.Node{Id: "edge-1", Metadata: xdstest.Metadata(t, `{"waxwing": {"evidence": ["metrics"]}}`)}
		if _, name := p.speaks(p.ctx, "delta", p.as("host-a"), shared(t)); name != "edge-1" {
			t.Errorf("the first is known as %q", name)
		}
		if _, name := p.speaks(p.ctx, service, p.as("host-b"), bare); name == "edge-1" {
			t.Errorf("%s: another that says its id alone is taken for the first", service)
		}
		renewed := p.as("host-a") // a connection of its own
		if _, name := p.speaks(p.ctx, service, renewed, bare); name != "edge-1" {
			t.Errorf("%s: the first is known as %q, too", service, name)
		}
	}
}

// What another reports of the probes that a proxy was sent says nothing of that proxy, and it is not
// sent them.
func TestProbesOfAnother(t *testing.T) {
	p := guarded(t, anyEdge, "host-a", "host-b")
	_, name := p.speaks(p.ctx, "delta", p.as("host-a"), shared(t))
	_, twin := p.speaks(p.ctx, "delta", p.as("host-b"), shared(t))
	plan := &xds.ProbePlan{
		ID: xds.PlanID{Of: "r"}, Interval: 20 * time.Millisecond, Timeout: 10 * time.Second, Report: 100 * time.Millisecond,
		Probes: []xds.Probe{{
			Name: "open", Key: "k", Check: fleet.Check{Method: "GET", Path: "/", Host: "h", Status: 200},
			Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: "@shadow"}}},
		}},
	}
	p.Probe(name, plan)
	first, second := xdstest.NewHealth(shared(t)), xdstest.NewHealth(shared(t))
	for h, conn := range map[*xdstest.Health]*grpc.ClientConn{first: p.as("host-a"), second: p.as("host-b")} {
		if err := h.Connect(p.ctx, conn); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
	}
	asked := waits(t, p.ctx, first)
	if got := waits(t, p.ctx, second); len(asked.GetClusterHealthChecks()) != 1 || len(got.GetClusterHealthChecks()) != 0 {
		t.Fatalf("they are asked %v and %v", asked, got)
	}
	wrong := xdstest.Result{Health: corev3.HealthStatus_UNHEALTHY, Status: 503}
	for range 50 { // enough to be believed
		if err := second.Report(asked, wrong); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.Become(shared(t)); err != nil { // whom it was all along, and after the reports
		t.Fatal(err)
	}
	if err := second.Become(node("other")); err != nil {
		t.Fatal(err)
	}
	for closed := false; !closed; {
		select {
		case <-p.Ready():
		case <-p.ctx.Done():
			t.Fatal("its stream does not end")
		}
		for _, e := range p.Events() {
			closed = closed || e.Kind == xds.HealthClosed
			if e.Kind == xds.Probed || e.Kind == xds.HealthClosed && e.ID() != twin {
				t.Errorf("an event of %q: %+v", e.ID(), e)
			}
		}
	}
}

func waits(t *testing.T, ctx context.Context, h *xdstest.Health) *healthv3.HealthCheckSpecifier {
	t.Helper()
	s, err := h.Wait(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
