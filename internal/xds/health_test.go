package xds

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// What a proxy can report of a probe that expects 200.
var (
	good    = xdstest.Result{Health: corev3.HealthStatus_HEALTHY, Status: 200}
	wrong   = xdstest.Result{Health: corev3.HealthStatus_UNHEALTHY, Status: 503}
	once    = xdstest.Result{Health: corev3.HealthStatus_UNHEALTHY, Status: 200}
	silent  = xdstest.Result{Health: corev3.HealthStatus_UNHEALTHY} // not answered yet, or refused
	timeout = xdstest.Result{Health: corev3.HealthStatus_TIMEOUT}
)

func plan(id string, names ...string) *ProbePlan {
	p := &ProbePlan{ID: PlanID{Of: id}, Interval: 20 * time.Millisecond, Timeout: 10 * time.Second, Report: 100 * time.Millisecond}
	for _, name := range names {
		p.Probes = append(p.Probes, Probe{
			Name: name, Key: "key of " + name, Check: fleet.Check{Method: "GET", Path: "/" + name, Host: "waxwing.check", Status: 200},
			Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: "@shadow"}}},
		})
	}
	return p
}

func (h *harness) health(id string) *xdstest.Health {
	h.t.Helper()
	p := xdstest.NewHealth(xdstest.Node(id, "edge", nil))
	if err := p.Connect(h.ctx, h.conn); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(p.Close)
	return p
}

// told waits for the nth specifier.
func (h *harness) told(p *xdstest.Health, n int) *healthv3.HealthCheckSpecifier {
	h.t.Helper()
	s, err := p.Wait(h.ctx, n)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *harness) report(p *xdstest.Health, of *healthv3.HealthCheckSpecifier, results ...xdstest.Result) {
	h.t.Helper()
	if err := p.Report(of, results...); err != nil {
		h.t.Fatal(err)
	}
}

// latched brings a proxy that was told n specifiers to the latched one of its plan.
func (h *harness) latched(p *xdstest.Health, n int, results ...xdstest.Result) *healthv3.HealthCheckSpecifier {
	h.t.Helper()
	h.report(p, h.told(p, n), results...)
	return h.told(p, n+1)
}

func threshold(s *healthv3.HealthCheckSpecifier) uint32 {
	return s.GetClusterHealthChecks()[0].GetHealthChecks()[0].GetHealthyThreshold().GetValue()
}

// A plan is sent unlatched until all of it passed, then so that a failure stays.
// probing is a server with a proxy, "a", that is to ask a plan's checks.
func probing(t *testing.T, plan *ProbePlan) (*harness, *xdstest.Health) {
	t.Helper()
	h := serve(t, Limits{})
	h.Probe("a", plan)
	p := h.health("a")
	h.expect(HealthOpened, "a")
	return h, p
}

func TestProbes(t *testing.T) {
	h := serve(t, Limits{})
	p := h.health("a")
	h.expect(HealthOpened, "a")
	if empty := h.told(p, 1); len(empty.GetClusterHealthChecks()) != 0 {
		t.Errorf("without a plan it is told %v", empty)
	}
	h.Probe("a", plan("r1/shadow", "x", "y"))
	first := h.told(p, 2)
	if got := threshold(first); got != 1 {
		t.Errorf("at first a failure stays until %d successes", got)
	}
	h.report(p, first, silent, good)
	second := h.latched(p, 2, good, good)
	if threshold(second) < 1e6 || second.GetClusterHealthChecks()[0].GetHealthChecks()[0].GetUnhealthyThreshold().GetValue() != 1 {
		t.Errorf("it does not latch: %v", second)
	}
	h.report(p, first, wrong, wrong)  // of the inquiry before
	h.report(p, second, good)         // not of all
	h.report(p, second, silent, good) // the first request is under way
	h.report(p, second, good, good)
	if e := h.expect(Probed, "a"); e.Plan.Of != "r1/shadow" || !e.Passed || e.Failed != nil {
		t.Errorf("%+v", e)
	}
	h.report(p, second, good, once)
	if e := h.expect(Probed, "a"); e.Passed || !slices.Equal(e.Failed, []string{"y: UNHEALTHY (once, and 200 again now)"}) || len(e.Wrong) != 1 || !e.Wrong[0].Again {
		t.Errorf("%+v", e)
	}

	// A plan of the same ID changes nothing, one of another does, none ends it.
	h.Probe("a", plan("r1/shadow", "z"))
	h.Probe("a", plan("r1/live", "x"))
	if third := h.told(p, 4); len(third.GetClusterHealthChecks()) != 1 {
		t.Errorf("told %v", third)
	}
	h.Probe("a", nil)
	if last := h.told(p, 5); len(last.GetClusterHealthChecks()) != 0 {
		t.Errorf("told %v", last)
	}
	p.Close()
	h.expect(HealthClosed, "a")
	h.eventually(func() bool { return h.remembered() == 0 })
}

// At first one wrong answer may be of the filter before, two are not.
func TestWrongAtFirst(t *testing.T) {
	h, p := probing(t, plan("r1/live", "x"))
	s := h.told(p, 1)
	h.report(p, s, wrong)
	h.report(p, s, silent)
	for range 3 {
		h.report(p, s, wrong)
	}
	if e := h.expect(Probed, "a"); !slices.Equal(e.Failed, []string{"x: UNHEALTHY (it was answered 503)"}) {
		t.Errorf("%+v", e)
	}
}

// Once latched, nothing but a late report excuses.
func TestLatchedFailures(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails xdstest.Result
		want  string
	}{
		{"wrong", wrong, "x: UNHEALTHY (it was answered 503)"},
		{"timeout", timeout, "x: TIMEOUT (no answer within 10s)"},
		{"refused", silent, "x: UNHEALTHY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, p := probing(t, plan("r1/live", "x"))
			s := h.latched(p, 1, good)
			h.report(p, s, good)
			h.expect(Probed, "a")
			h.report(p, s, c.fails)
			if e := h.expect(Probed, "a"); e.Passed || !slices.Equal(e.Failed, []string{c.want}) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// An Envoy takes no notice of a specifier like the one before, an earlier stream's
// neither, and then does not even report.
func TestProbesAfterReconnect(t *testing.T) {
	h, p := probing(t, plan("r1/shadow", "x"))
	s := h.latched(p, 1, good)
	p.Close()
	h.expect(HealthClosed, "a")
	if h.HealthOpen("a") {
		t.Error("it is open")
	}
	if err := p.Connect(h.ctx, h.conn); err != nil {
		t.Fatal(err)
	}
	h.expect(HealthOpened, "a")
	again := h.told(p, 3)
	h.report(p, s, wrong)
	h.report(p, h.latched(p, 3, good), good)
	if e := h.expect(Probed, "a"); !e.Passed {
		t.Errorf("%+v", e)
	}
	if again.GetClusterHealthChecks()[0].GetClusterName() == s.GetClusterHealthChecks()[0].GetClusterName() {
		t.Error("it is sent the same again")
	}
}

// Not taken in time, a failure is kept, until there is another plan.
func TestProbedIsMerged(t *testing.T) {
	h, p := probing(t, plan("r1/live", "x"))
	s := h.latched(p, 1, good)
	for _, r := range []xdstest.Result{good, wrong, good, good} {
		h.report(p, s, r)
	}
	if err := p.Become(xdstest.Node("b", "edge", nil)); err != nil { // which ends the stream, after all reports
		t.Fatal(err)
	}
	h.eventually(func() bool { return !h.HealthOpen("a") })
	if e := h.expect(Probed, "a"); e.Plan.Of != "r1/live" || len(e.Failed) != 1 || len(e.Keys) != 1 || !strings.HasPrefix(e.Failed[0], strings.TrimPrefix(e.Keys[0], "key of ")) {
		t.Errorf("%+v", e)
	}
	h.expect(HealthClosed, "a")
	if e := mergeProbed(Event{Plan: PlanID{Of: "r1/live"}, Failed: []string{"x"}}, Event{Plan: PlanID{Of: "r2/live"}, Passed: true}); !e.Passed {
		t.Errorf("another plan's: %+v", e)
	}
}

// A header's value is sent as it is, and is in no event.
func TestProbeHeaders(t *testing.T) {
	h := serve(t, Limits{})
	pl := plan("r1/live", "x")
	pl.Probes[0].Check.Headers = []fleet.Header{{Name: "token", Value: "100%REQ(x)%"}, {Name: "token", Value: "7"}}
	pl.Probes[0].Extra = []fleet.Header{{Name: "x-waxwing-upstream", Value: "404"}}
	h.Probe("a", pl)
	p := h.health("a")
	h.expect(HealthOpened, "a")
	var got []string
	for _, o := range h.told(p, 1).GetClusterHealthChecks()[0].GetHealthChecks()[0].GetHttpHealthCheck().GetRequestHeadersToAdd() {
		replaces := o.GetAppendAction() == corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
		got = append(got, fmt.Sprintf("%s=%s %v", o.GetHeader().GetKey(), o.GetHeader().GetValue(), replaces))
	}
	check(t, "headers", got, []string{"token=100%%REQ(x)%% true", "token=7 false", "x-waxwing-upstream=404 true", "user-agent=waxwing-check true"})

	pl.Probes[0].Check.Headers = []fleet.Header{{Name: "User-Agent", Value: "a/1"}}
	if of := headers(pl.Probes[0]); len(of) != 2 || of[0].GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
		t.Errorf("a check's own user agent: %v", of)
	}
}

// A listener that speaks something else than plain text is asked by a transport socket of its own.
func TestProbeSocket(t *testing.T) {
	h := serve(t, Limits{})
	pl := plan("r1/live", "x", "y")
	pl.Probes[0].Socket = &corev3.TransportSocket{Name: "envoy.transport_sockets.tls"}
	h.Probe("a", pl)
	p := h.health("a")
	h.expect(HealthOpened, "a")
	asked := h.told(p, 1).GetClusterHealthChecks()
	if got := asked[0].GetTransportSocketMatches(); len(got) != 1 || got[0].GetTransportSocket().GetName() != "envoy.transport_sockets.tls" || len(got[0].GetMatch().GetFields()) > 0 {
		t.Errorf("by TLS: %v", got)
	}
	if got := asked[1].GetTransportSocketMatches(); len(got) > 0 {
		t.Errorf("in plain text: %v", got)
	}
}

// What can't be asked fails at once, rather than never.
func TestWhatCannotBeAsked(t *testing.T) {
	h := serve(t, Limits{})
	p := h.health("a")
	h.expect(HealthOpened, "a")
	h.told(p, 1)
	for id, break_ := range map[string]func(*Probe){
		"no method PURGE":    func(p *Probe) { p.Check.Method = "PURGE" },
		"sent is not valid:": func(p *Probe) { p.Check.Path = "" },
	} {
		pl := plan(id, "x")
		break_(&pl.Probes[0])
		h.Probe("a", pl)
		if e := h.expect(Probed, "a"); e.Plan.Of != id || e.Passed || !strings.Contains(strings.Join(e.Failed, ""), id) {
			t.Errorf("%+v", e)
		} else if id == "no method PURGE" && !slices.Equal(e.Keys, []string{"key of x"}) {
			t.Errorf("its checks are %q", e.Keys)
		}
	}
}

// A stream keeps the identity that it began with.
func TestHealthIdentity(t *testing.T) {
	h := serve(t, Limits{MaxStreams: 1})
	p := h.health("a")
	h.expect(HealthOpened, "a")
	if err := p.Become(xdstest.Node("b", "edge", nil)); err != nil {
		t.Fatal(err)
	}
	if err := p.Ended(); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), `can't become that of "b"`) {
		t.Errorf("it ended with %v", err)
	}
	h.expect(HealthClosed, "a")
	nobody := h.health("")
	if err := nobody.Ended(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without an id it ended with %v", err)
	}
	h.health("c")
	h.expect(HealthOpened, "c")
	if err := h.health("d").Ended(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one stream too many ended with %v", err)
	}
}

// Of two streams of a node both are told and both are heard: they may be of two processes.
// A check holds when it does on both, and fails when it does on one.
func TestTwoHealthStreams(t *testing.T) {
	h := serve(t, Limits{})
	older := h.health("a")
	h.expect(HealthOpened, "a")
	newer := h.health("a")
	h.expect(HealthOpened, "a")
	h.told(older, 1)
	h.told(newer, 1)
	h.Probe("a", plan("r1/live", "x"))
	asked := h.latched(older, 2, good)
	h.report(older, asked, good)
	h.report(newer, h.latched(newer, 2, good), good)
	if e := h.expect(Probed, "a"); !e.Passed {
		t.Errorf("%+v", e)
	}
	h.report(older, asked, wrong)
	if e := h.expect(Probed, "a"); e.Passed || len(e.Wrong) != 1 {
		t.Errorf("%+v", e)
	}
	newer.Close()
	s := h.told(older, 3)
	h.eventually(func() bool { return h.healthStreams() == 1 })
	h.report(older, s, good)
	if e := h.expect(Probed, "a"); !e.Passed {
		t.Errorf("%+v", e)
	}
	older.Close()
	h.expect(HealthClosed, "a")
}

// Where all that is asked goes through real listeners as they are, it is told once each has an answer,
// whatever that is.
func TestOnlyBeforehand(t *testing.T) {
	asked := plan("r1/shadow", "x", "y")
	for i := range asked.Probes {
		asked.Probes[i].Before = true
	}
	h, p := probing(t, asked)
	h.report(p, h.told(p, 1), silent, good)
	latched := h.latched(p, 1, wrong, good)
	h.report(p, latched, silent, good)
	h.report(p, latched, wrong, good)
	if e := h.expect(Probed, "a"); !e.Passed || len(e.Before) != 2 || e.Before[0].Status != 503 || e.Before[1].Status != 200 {
		t.Errorf("%+v", e)
	}
}

// remembered counts the nodes of which something is known.
func (h *harness) remembered() int {
	return h.Stats().Proxies
}

func (h *harness) healthStreams() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Server.health
}

// eventually asks until it is so.
func (h *harness) eventually(ok func() bool) {
	h.t.Helper()
	if !xdstest.Until(h.ctx, ok) {
		h.t.Fatal("it did not come to be so")
	}
}

// The simulated proxy is as quiet as a real one.
func TestSilentWithoutNews(t *testing.T) {
	p := xdstest.NewHealth(xdstest.Node("a", "edge", nil))
	if err := p.Report(nil); !errors.Is(err, xdstest.ErrSilent) {
		t.Errorf("it reports: %v", err)
	}
}

// What would make an Envoy abort is not sent, whoever asks for it.
func TestProbesThatWouldAbort(t *testing.T) {
	for name, change := range map[string]func(p *Probe){
		"no address":   func(p *Probe) { p.Address = nil },
		"a host name":  func(p *Probe) { p.Address = socket("localhost", 80) },
		"port 0":       func(p *Probe) { p.Address = socket("127.0.0.1", 0) },
		"header host":  func(p *Probe) { p.Check.Headers = []fleet.Header{{Name: "Host", Value: "x"}} },
		"header :path": func(p *Probe) { p.Extra = []fleet.Header{{Name: ":path", Value: "x"}} },
	} {
		plan := plan("a", "probe")
		change(&plan.Probes[0])
		if s, err := newInquiry(plan, 0, trying).specifier(); err == nil {
			t.Errorf("%s: it would be sent %v", name, s)
		}
	}
}

func socket(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}
