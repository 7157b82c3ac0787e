package xds

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Probes are requests that a proxy sends to its own listeners, by health
// discovery: real requests through the real filter, and no need to reach the
// proxy from here. https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/health_checkers/hds

// A ProbePlan is what a proxy is to be asked.
type ProbePlan struct {
	ID       PlanID        // its reports are told apart by it
	Interval time.Duration // between two requests of one probe
	// Later is the interval after the first hundred requests of each, 0 for the same. Beside is that of
	// probes that are asked Before.
	Later, Beside time.Duration
	// Timeout of a request. The proxy asks on its main thread, which also compiles
	// modules: see Report.
	Timeout time.Duration
	// Report is the time between two reports. Up to half a Timeout, a timeout that
	// the proxy's own main thread is to blame for is told from a filter's.
	Report time.Duration
	Probes []Probe
}

// A Through says which of its listeners a proxy is asked through.
type Through string

// What a proxy can be asked through.
const (
	ThroughNothing Through = ""
	ThroughShadow  Through = "shadow" // whose requests are none of Counters.Requests, nor the probes of Counters.Probes
	ThroughLive    Through = "live"
	ThroughWatch   Through = "watch" // the real ones, too, now and then
)

// A PlanID names what a proxy is asked. Reports on others than it is asked now, because the
// checks have changed meanwhile, say nothing.
type PlanID struct {
	Of        string // the ID of the revision
	Through   Through
	Questions string // the checks, by their content: see snapshot.Questions
	Again     int    // counts how often they were asked anew
}

// String is what the names of its clusters have in common.
func (id PlanID) String() string {
	text := id.Of + "/" + string(id.Through) + "/" + id.Questions
	if id.Again > 0 {
		text += "/" + strconv.Itoa(id.Again)
	}
	return text
}

// A Probe is a check, asked through one listener.
type Probe struct {
	Name    string          // for people; it has no header's value
	Key     string          // of its check, whichever listener it goes through; nobody here looks into it
	Way     string          // the listener that it goes through, for people
	Address *corev3.Address // the proxy's own listener: TCP on loopback, or an abstract Unix socket ("@…")
	// InSlot is that of another process with the node id than the first, nil for the same.
	InSlot func(slot int) (*corev3.Address, error)
	Check  fleet.Check
	Extra  []fleet.Header // more headers than the check's
	HTTP2  bool           // the listener understands nothing else
	// Socket is what its connections are made by: TLS, the PROXY protocol. nil for neither.
	Socket *corev3.TransportSocket
	Seen   bool // the listener looks at what the service would see
	// Limited says that the refusal of a rate limit, a 429, tells nothing against it: it has
	// passed where there is none. A proxy that does not say what it was answered takes that for a pass.
	Limited bool
	// Own is the status that the listener's configuration answers with itself, which is as good as
	// those that the check expects; 0 for none. See snapshot.OwnAnswers.
	Own int
	// Timeout is its own, that of the plan if it is 0. Ready is for how long after it was
	// asked first a wrong answer does not count.
	Timeout, Ready time.Duration
	// Before says that it goes through a real listener as it is, beside those through the
	// shadow: what comes of it is told, and does not count.
	Before bool
}

// Names of the clusters that probes are to the proxy, and to its statistics.
const (
	probePrefix       = "waxwing-probe/"
	shadowProbePrefix = "waxwing-shadow-probe/"
)

// Probe sets what the proxies with a node id are asked; nil for nothing. It is
// kept until it is set to nil, and sent again when the proxy reconnects. A plan
// with the ID of the one before changes nothing. It returns at once; what comes
// of it are Probed events.
func (s *Server) Probe(nodeID string, plan *ProbePlan) {
	if plan == nil && s.proxy(nodeID) == nil {
		return
	}
	defer s.forgetSome()
	p := s.proxyOf(nodeID) // locked
	defer p.mu.Unlock()
	defer p.vacate()
	v := &p.voices
	if plan == v.plan || plan != nil && v.plan != nil && plan.ID == v.plan.ID {
		return
	}
	v.plan = plan
	v.wake()
}

// HealthOpen reports whether a node has a health discovery stream and can be asked.
func (s *Server) HealthOpen(nodeID string) bool {
	p := s.proxy(nodeID)
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.voices.newest() != nil
}

// An inquiry is a plan as it was sent, once. Its clusters have names that no other
// inquiry of any server has: a report is of what it names, and Envoy takes no
// notice of what it was sent before, by an earlier stream or server neither; it
// would then not even report.
type inquiry struct {
	plan *ProbePlan
	slot int    // of the process that is asked
	name string // what its clusters' names have in common
	manner
	mute bool // the proxy does not say what it was answered

	reports  int       // that came in
	began    time.Time // when the first did
	last     time.Time // when the newest did
	lateAt   int       // which of them was late, 0 for none
	progress []progress
}

// A manner is how a proxy is asked a plan: one after the other, as soon as every probe has passed.
type manner int

const (
	// trying: a failure may pass. A proxy acknowledges a listener a moment before its workers
	// listen.
	trying  manner = iota
	latched        // one failure of a probe stays to be seen
	sparing        // that, and each is asked only every plan.Later
)

// latches is whether one failure of a probe stays to be seen.
func (m manner) latches() bool { return m >= latched }

// progress is what came of a probe so far.
type progress struct {
	passed     bool // it was reported healthy once
	own        bool // the listener's configuration may answer it
	routed     bool // it was answered as the check expects all the same
	wrongSince int  // the report from which on its answers are wrong, 0 for none
	wrong      int  // the last wrong answer; 0 for none
}

// nothing is a plan without probes.
var nothing = &ProbePlan{Report: time.Hour}

func newInquiry(plan *ProbePlan, slot int, how manner) *inquiry {
	q := &inquiry{
		plan: plan, slot: slot, manner: how, progress: make([]progress, len(plan.Probes)),
		name: plan.ID.String() + "/" + rand.Text() + "/",
	}
	for i, p := range plan.Probes {
		q.progress[i].own = p.Own != 0
	}
	return q
}

// anew is the same plan once more. Of a probe that was answered as it is wanted, after all, the
// configuration's own answer counts no longer.
func (q *inquiry) anew(how manner) *inquiry {
	again := newInquiry(q.plan, q.slot, how)
	for i := range again.progress {
		again.progress[i].own = q.progress[i].own && !q.progress[i].routed
	}
	return again
}

// class is that of the answer that a probe has when it passes: 2 for 200.
func (q *inquiry) class(i int) int {
	if q.progress[i].own {
		return q.plan.Probes[i].Own / 100
	}
	return q.plan.Probes[i].Check.Status / 100
}

// expects is whether a status is a good answer to a probe.
func (q *inquiry) expects(i, status int) bool {
	p := q.plan.Probes[i]
	return p.Check.Expects(status) || q.progress[i].own && status == p.Own
}

// cluster is the name of a probe's cluster: requests to real listeners are counted, and
// those that pass by the class of their answer.
func (q *inquiry) cluster(i int) string {
	prefix := probePrefix
	if q.plan.ID.Through == ThroughShadow && !q.plan.Probes[i].Before {
		prefix = shadowProbePrefix
	}
	return fmt.Sprintf("%s%dxx/%s%d", prefix, q.class(i), q.name, i)
}

// meetsUsers is whether some of its requests are answered, and counted, where users' are.
func (q *inquiry) meetsUsers() bool {
	return slices.ContainsFunc(q.plan.Probes, func(p Probe) bool { return p.Before || q.plan.ID.Through != ThroughShadow })
}

// looks is whether a probe looks at the body of its answer.
func (q *inquiry) looks(i int) bool {
	return len(q.plan.Probes[i].Check.Holds()) > 0 && !q.progress[i].own
}

// interval is the time between two requests of a probe: a real listener has users.
func (q *inquiry) interval(p Probe) time.Duration {
	switch {
	case p.Before:
		return max(q.plan.Interval, q.plan.Beside)
	case q.manner == sparing:
		return q.plan.Later
	}
	return q.plan.Interval
}

// spread is over which time proxies are to begin that are asked seldom, so that they do not all ask
// their services at once. Those that are asked anew, for what a service answered, ask at once: they
// are asked so each time.
func (q *inquiry) spread(p Probe) time.Duration {
	if interval := q.interval(p); interval > time.Second && q.plan.ID.Again == 0 {
		return interval
	}
	return 0
}

// often is after how many requests of each probe a plan that has passed asks each Later.
const often = 100

// slows is whether that is so.
func (q *inquiry) slows() bool {
	return q.manner != sparing && q.plan.Later > q.plan.Interval && q.reported(1) > often*q.plan.Interval
}

// timeout is how long an answer may take.
func (q *inquiry) timeout(p Probe) time.Duration { return cmp.Or(p.Timeout, q.plan.Timeout) }

// report is the time between two reports: shorter at first, which is over when all have passed.
func (q *inquiry) report() time.Duration {
	if q.latches() || len(q.plan.Probes) == 0 {
		return q.plan.Report
	}
	return max(q.plan.Report/4, 10*time.Millisecond)
}

// specifier is the inquiry in Envoy's form. Without probes it ends the ones before.
// An error says what Envoy would not take, or would take for something else; it
// tells the server neither.
func (q *inquiry) specifier() (*healthv3.HealthCheckSpecifier, error) {
	out := &healthv3.HealthCheckSpecifier{Interval: durationpb.New(q.report())}
	for i, p := range q.plan.Probes {
		check, err := q.clusterOf(i, p)
		if err != nil {
			return nil, &unaskable{p, err}
		}
		out.ClusterHealthChecks = append(out.ClusterHealthChecks, check)
	}
	if err := out.Validate(); err != nil {
		return nil, fmt.Errorf("what Envoy would be sent is not valid: %w", err)
	}
	return out, nil
}

// An unaskable is a probe that Envoy can't be sent, and why.
type unaskable struct {
	probe Probe
	why   error
}

func (u *unaskable) Error() string { return u.probe.Name + ": " + u.why.Error() }
func (u *unaskable) Unwrap() error { return u.why }

// clusterOf is a probe in Envoy's form.
func (q *inquiry) clusterOf(i int, p Probe) (*healthv3.ClusterHealthCheck, error) {
	if p.InSlot != nil && q.slot > 0 {
		address, err := p.InSlot(q.slot)
		if err != nil {
			return nil, err
		}
		p.Address = address
	}
	if corev3.RequestMethod_value[p.Check.Method] == 0 {
		return nil, fmt.Errorf("no method %s in Envoy's health checks", p.Check.Method)
	}
	if why := aborts(p); why != "" {
		return nil, errors.New(why)
	}
	out := &healthv3.ClusterHealthCheck{
		ClusterName:       q.cluster(i),
		HealthChecks:      []*corev3.HealthCheck{q.healthCheck(i, p)},
		LocalityEndpoints: []*healthv3.LocalityEndpoints{{Endpoints: []*endpointv3.Endpoint{{Address: p.Address}}}},
	}
	if p.Socket != nil { // without criteria it is that of every endpoint
		out.TransportSocketMatches = []*clusterv3.Cluster_TransportSocketMatch{{Name: "waxwing", TransportSocket: p.Socket}}
	}
	return out, nil
}

// aborts says what of a probe Envoy 1.40.0 would not refuse but abort for: the exceptions
// of its own that nothing in health discovery catches. The fleet file has none of it; this
// is the second wall.
func aborts(p Probe) string {
	for _, header := range slices.Concat(p.Check.Headers, p.Extra) {
		if strings.EqualFold(header.Name, "host") || strings.HasPrefix(header.Name, ":") {
			return fmt.Sprintf("Envoy's health checks can't set the header %q", header.Name)
		}
	}
	if p.Check.Bodyless() {
		return "Envoy's health checks send no body with " + p.Check.Method
	}
	return fleet.Unasked(p.Address)
}

// healthCheck asks on a connection of its own each time, so that all workers are
// met. To latch is to want, after a failure, more successes than there will be.
func (q *inquiry) healthCheck(i int, p Probe) *corev3.HealthCheck {
	healthy := uint32(1)
	if q.latches() {
		healthy = 1 << 30
	}
	interval := durationpb.New(q.interval(p))
	codec := typev3.CodecClientType_HTTP1
	if p.HTTP2 {
		codec = typev3.CodecClientType_HTTP2
	}
	check := &corev3.HealthCheck_HttpHealthCheck{
		CodecClientType: codec,
		Host:            p.Check.Host, Path: p.Check.Path,
		Method: corev3.RequestMethod(corev3.RequestMethod_value[p.Check.Method]),
	}
	for _, r := range p.Check.Statuses() {
		check.ExpectedStatuses = append(check.ExpectedStatuses, &typev3.Int64Range{Start: int64(r.From), End: int64(r.To) + 1})
	}
	if q.mute && p.Limited && !p.Check.Expects(http.StatusTooManyRequests) {
		check.ExpectedStatuses = append(check.ExpectedStatuses, &typev3.Int64Range{Start: http.StatusTooManyRequests, End: http.StatusTooManyRequests + 1})
	}
	if bodies(check, p.Check); q.progress[i].own {
		check.ExpectedStatuses = append(check.ExpectedStatuses, &typev3.Int64Range{Start: int64(p.Own), End: int64(p.Own) + 1})
		check.Receive = nil // the body is another, too
	}
	check.RequestHeadersToAdd = headers(p)
	var jitter *durationpb.Duration
	if spread := q.spread(p); spread > 0 {
		jitter = durationpb.New(spread)
	}
	return &corev3.HealthCheck{
		Timeout: durationpb.New(q.timeout(p)), InitialJitter: jitter,
		// No cluster of a health check has traffic: of the intervals that one counts.
		Interval: interval, NoTrafficInterval: interval,
		UnhealthyThreshold: wrapperspb.UInt32(1), HealthyThreshold: wrapperspb.UInt32(healthy),
		ReuseConnection: wrapperspb.Bool(false),
		HealthChecker:   &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: check},
	}
}

// headers are those of a request, and none of Envoy's own: what it has itself, a user agent,
// gives way to the check's, or to the one of all checks.
func headers(p Probe) []*corev3.HeaderValueOption {
	all := slices.Concat(p.Check.Headers, p.Extra)
	given := map[string]bool{}
	var out []*corev3.HeaderValueOption
	add := func(name, value string) {
		action := corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD
		if key := strings.ToLower(name); !given[key] {
			given[key], action = true, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
		}
		out = append(out, &corev3.HeaderValueOption{
			// In Envoy a value is a format, in which a percent sign begins a command.
			Header:       &corev3.HeaderValue{Key: name, Value: strings.ReplaceAll(value, "%", "%%")},
			AppendAction: action,
		})
	}
	for _, header := range all {
		add(header.Name, header.Value)
	}
	if !given["user-agent"] {
		add("user-agent", fleet.UserAgent)
	}
	return out
}
