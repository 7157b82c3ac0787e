package rollout

import (
	"fmt"
	"time"
)

// unended are requests that do not end.
var unended = &source{
	name: "requests that do not end", byRequests: true,
	against: func(s *step, node string, _ Counters, _ Plan) charge {
		if s.Rollout == nil { // at night there are fewer, too
			return charge{}
		}
		return charge{evidence: Errors, reason: s.quiet(&s.proxies[node].traffic)}
	},
}

// quiet tells of requests that do not end: no error of them is counted. Users who have
// stopped sending any are no evidence, however many there were before.
func (s *step) quiet(t *traffic) string {
	before, now := t.before.last(len(t.before.windows)), t.after.last(hangs)
	if t.reports < hangs || now.span < 3*time.Second || before.rate() < 5 {
		return ""
	}
	// Not none at all: a probe is counted as it begins, a request as it ends.
	if now.rate() > before.rate()/20 || !t.hangs() {
		return ""
	}
	if rest := s.rest.last(len(s.rest.windows)); rest.span > 0 && rest.rate() == 0 {
		return "" // no one sends any
	}
	return fmt.Sprintf("it answers %.1f requests a second, its probes not counted, and answered %.1f before; begun since it has the revision and not answered: %s",
		now.rate(), before.rate(), many(uint64(max(t.unended, 1))))
}

// hangs is in how many reports in a row requests must not end.
const hangs = 3

// hangs is whether requests begin that do not end. Those of users who give up, or are many,
// go on beginning. Users who wait, and send no other meanwhile, leave theirs in flight: more
// than there were at any time before, and none is of an answer that streams, since that is
// counted as answered when it begins.
func (t *traffic) hangs() bool {
	now := t.after.last(hangs)
	left := now.begun - min(now.requests, now.begun)
	return left >= 3 && 2*left >= now.begun || t.unended > 0 && t.after.leastActive(hangs) > t.before.leastActive(len(t.before.windows))
}
