package xds

import (
	"fmt"
	"net/http"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
)

// Envoy reports UNHEALTHY before the first answer, too. Since 1.40 a report has
// the status of the last answer, and tells the two apart at once. Without one it
// was no answer yet, or a connection that was refused: which of them, time tells.
// A probe without an answer in time is TIMEOUT. (Envoy 1.40.0:
// source/common/upstream/health_discovery_service.cc.)
const answerKey = "http_status_code"

// beginning is for how long a proxy may have no answer to a plan: it acknowledges
// a new listener a moment before its workers listen.
const beginning = 1500 * time.Millisecond

// A reportVerdict is what a report means. Its zero value: it does not tell yet.
type reportVerdict struct {
	passed bool     // all probes have been answered, as expected
	failed []string // those that were not, and how
	keys   []string // of their checks
	wrong  []Answer // the same ones
	before []Answer // of those through a listener as it was, as far as it tells
	unsure bool     // each of these was answered 5xx, or not at all
	again  bool     // the plan is to be sent again
	how    manner   // then
}

// judge takes the next report.
func (q *inquiry) judge(r *healthv3.EndpointHealthResponse, now time.Time) reportVerdict {
	said := q.match(r)
	if len(said) == 0 {
		return reportVerdict{}
	}
	q.count(now)
	var v reportVerdict
	good, asked := 0, 0
	v.unsure = true
	for i, e := range said {
		if p := q.plan.Probes[i]; p.Before {
			v.before = append(v.before, q.before(p, e, now)...)
			continue
		}
		asked++
		state := q.probed(i, e, now)
		if state == probeBad && !q.latches() && now.Sub(q.began) < q.plan.Probes[i].Ready {
			state = probeOpen
		}
		switch state {
		case probeGood:
			good++
		case probeBad:
			v.failed = append(v.failed, q.plan.Probes[i].Name+": "+q.describe(i, e))
			v.keys = append(v.keys, q.plan.Probes[i].Key)
			a := q.wrongly(i, e)
			v.wrong = append(v.wrong, a)
			v.unsure = v.unsure && (serviceMay(e) || a.Again && a.Check.Passes() || a.Status >= http.StatusInternalServerError)
		case probeLost:
			v.again = true
		case probeOpen:
		}
	}
	switch {
	case len(v.failed) > 0:
		v.again = false
	case asked == 0 && len(v.before) < len(said): // that is all that is asked, and not all is told
	case good == asked && q.latches() && q.slows():
		v.again, v.how = true, sparing
	case good == asked && q.latches():
		v.passed = true
	case good == asked:
		v.again, v.how = true, latched
	}
	return v
}

// before is what a probe through a listener as it was says; nothing while it does not tell.
func (q *inquiry) before(p Probe, e *healthv3.EndpointHealth, now time.Time) []Answer {
	a := q.answered(e, p)
	switch {
	case e.GetHealthStatus() == corev3.HealthStatus_HEALTHY:
		if !p.Check.Expects(a.Status) {
			a.Status = p.Check.Status
		}
	case a.Status == 0 && e.GetHealthStatus() != corev3.HealthStatus_TIMEOUT && !q.over(p, now):
		return nil
	}
	return []Answer{a}
}

// answered is what a probe was answered last. A timeout's status is that of an earlier answer.
func (q *inquiry) answered(e *healthv3.EndpointHealth, p Probe) Answer {
	a := Answer{Name: p.Name, Key: p.Key, Way: p.Way, Check: p.Check, Status: answer(e)}
	if e.GetHealthStatus() == corev3.HealthStatus_TIMEOUT {
		a.Status = 0
	}
	return a
}

// wrongly is what a probe was answered that has failed. One that has failed once stays so, as Envoy
// counts it, when the answers that are reported are right again: what was wrong is then known
// only where a report came in between. Of a body, or of what the service sees, no status tells.
func (q *inquiry) wrongly(i int, e *healthv3.EndpointHealth) Answer {
	p := q.plan.Probes[i]
	a := q.answered(e, p)
	switch seen := q.progress[i].wrong; {
	case a.Status == 0 || !q.expects(i, a.Status) || q.looks(i) || p.Seen:
	case seen != 0:
		a.Status = seen
	default:
		a.Again = true
	}
	return a
}

type probeState int

const (
	probeOpen probeState = iota // it can't be told yet
	probeGood
	probeBad
	probeLost // and it won't be: it is latched, for no fault of the filter's
)

// probed judges one probe.
func (q *inquiry) probed(i int, e *healthv3.EndpointHealth, now time.Time) probeState {
	health, p := e.GetHealthStatus(), &q.progress[i]
	wrong := answer(e) != 0
	if wrong && health != corev3.HealthStatus_HEALTHY && !q.expects(i, answer(e)) {
		p.wrong = answer(e)
	}
	if health == corev3.HealthStatus_HEALTHY && q.plan.Probes[i].Check.Expects(answer(e)) {
		p.routed = true
	}
	if health == corev3.HealthStatus_HEALTHY || !wrong {
		p.wrongSince = 0
	} else if p.wrongSince == 0 {
		p.wrongSince = q.reports
	}
	switch {
	case health == corev3.HealthStatus_HEALTHY:
		p.passed = true
		return probeGood
	case health == corev3.HealthStatus_TIMEOUT && q.late():
		if q.latches() {
			return probeLost
		}
		return probeOpen
	case health == corev3.HealthStatus_TIMEOUT, p.passed && q.latches(), q.over(q.plan.Probes[i], now):
		return probeBad
	case wrong && (q.latches() || q.reported(p.wrongSince) > q.interval(q.plan.Probes[i])+q.report()):
		// A worker takes a new filter a moment after the main thread has accepted
		// it. So, at first, the answer after a wrong one must be wrong as well.
		return probeBad
	}
	return probeOpen
}

// match finds what a report says of each probe; nil if it is not of this inquiry.
func (q *inquiry) match(r *healthv3.EndpointHealthResponse) []*healthv3.EndpointHealth {
	said := map[string]*healthv3.EndpointHealth{}
	for _, cluster := range r.GetClusterEndpointsHealth() {
		for _, locality := range cluster.GetLocalityEndpointsHealth() {
			for _, endpoint := range locality.GetEndpointsHealth() {
				said[cluster.GetClusterName()] = endpoint
			}
		}
	}
	out := make([]*healthv3.EndpointHealth, len(q.plan.Probes))
	for i := range out {
		if out[i] = said[q.cluster(i)]; out[i] == nil {
			return nil
		}
	}
	return out
}

// count notes that a report came in.
func (q *inquiry) count(now time.Time) {
	q.reports++
	if q.reports == 1 {
		q.began = now
	} else if now.Sub(q.last) > q.report()+q.plan.Timeout/2 && q.report() <= q.plan.Timeout/2 {
		q.lateAt = q.reports
	}
	q.last = now
}

// late says that the proxy's main thread had no time for its last report or the
// one before: it compiled, say, 2 s for a Go module. Answers that came meanwhile
// it has not seen either, so that what it now calls a timeout may be none.
func (q *inquiry) late() bool { return q.lateAt > 0 && q.reports-q.lateAt <= 1 }

// reported is the time, by the proxy's own clock, that has passed since a report:
// the reports after it can't come sooner than it sent them.
func (q *inquiry) reported(since int) time.Duration {
	return time.Duration(q.reports-since) * q.report()
}

// over says that a probe must have been answered by now.
func (q *inquiry) over(p Probe, now time.Time) bool {
	return q.reported(1) > q.timeout(p)+q.spread(p) && (q.latches() || now.Sub(q.began) > beginning)
}

// answer is the status of the last answer, 0 for none. What is no status at all is none.
func answer(e *healthv3.EndpointHealth) int {
	status := e.GetHealthMetadata().GetFields()[answerKey].GetNumberValue()
	if !(status >= 100 && status < 600) {
		return 0
	}
	return int(status)
}

// serviceMay is whether the service behind the filters may have failed a probe. A
// timeout's status is that of an earlier answer.
func serviceMay(e *healthv3.EndpointHealth) bool {
	status := answer(e)
	return e.GetHealthStatus() == corev3.HealthStatus_TIMEOUT || status == 0 || status >= http.StatusInternalServerError
}

// describe tells people how a probe failed.
func (q *inquiry) describe(i int, e *healthv3.EndpointHealth) string {
	p := q.plan.Probes[i]
	switch status := answer(e); {
	case e.GetHealthStatus() == corev3.HealthStatus_TIMEOUT:
		return fmt.Sprintf("TIMEOUT (no answer within %v)", q.timeout(p))
	case status == 0:
		return e.GetHealthStatus().String()
	case q.expects(i, status) && q.looks(i):
		return fmt.Sprintf("%s (it was answered %d, and not with the body that is expected, now or once)", e.GetHealthStatus(), status)
	case p.Seen && status == p.Check.Otherwise():
		return fmt.Sprintf("%s (the service would not see what it is to see: it was answered %d)", e.GetHealthStatus(), status)
	case q.expects(i, status):
		return fmt.Sprintf("%s (once, and %d again now)", e.GetHealthStatus(), status)
	default:
		return fmt.Sprintf("%s (it was answered %d)", e.GetHealthStatus(), status)
	}
}
