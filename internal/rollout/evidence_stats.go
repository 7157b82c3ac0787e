package rollout

import (
	"fmt"
	"slices"
	"time"
)

// grown are statistics that a person has named, and that are larger than before.
var grown = &source{
	name: "statistics", byRequests: true,
	against: func(s *step, node string, _ Counters, plan Plan) charge { return s.proxies[node].traffic.grown(plan) },
}

// track is a statistic of a proxy, of before its flip and since: of a counter what was added a
// second, of a gauge its value.
type track struct{ before, after series }

// series are the newest values.
type series struct {
	values [8]float32
	next   uint32
}

func (s *series) add(v float64) {
	s.values[s.next%uint32(len(s.values))] = float32(v)
	s.next++
}

func (s *series) known() []float32 { return s.values[:min(int(s.next), len(s.values))] }

func (s *series) mean() (mean float64) {
	for _, v := range s.known() {
		mean += float64(v) / float64(len(s.known()))
	}
	return mean
}

// seriesEnough is how many values it takes to know what is usual.
const seriesEnough = 3

// track keeps what counts of a proxy's statistics.
func (s *step) track(p *proxy, c Counters, span time.Duration) {
	if r := s.Rollout; r != nil {
		p.traffic.track(r.Plan.Evidence, c, span)
	} else if s.Watch != nil {
		p.traffic.track(s.Watch.Plan.Evidence, c, span)
	}
}

func (t *traffic) track(limits []StatLimit, c Counters, span time.Duration) {
	for _, limit := range limits {
		if t.named == nil {
			t.named = map[string]*track{}
		}
		one := t.named[limit.Stat]
		if one == nil {
			one = &track{}
			t.named[limit.Stat] = one
		}
		of := &one.before
		if t.flipped {
			of = &one.after
		}
		switch value := c.Named[limit.Stat]; {
		case value.Gauge:
			of.add(float64(value.Value))
		case span > 0:
			of.add(float64(value.Value) / span.Seconds())
		}
	}
}

// flipTracks makes what a revision had that which was before the next.
func (t *traffic) flipTracks() {
	for _, one := range t.named {
		if t.flipped && one.after.next > 0 {
			one.before = one.after
		}
		one.after = series{}
	}
}

// grown says which of the statistics is larger than before. What is usual is the largest of
// some values before.
func (t *traffic) grown(plan Plan) charge {
	for _, limit := range plan.Evidence {
		one := t.named[limit.Stat]
		if one == nil || len(one.before.known()) < seriesEnough || len(one.after.known()) < seriesEnough {
			continue
		}
		usual, now, most := float64(slices.Max(one.before.known())), one.after.mean(), limit.MaxIncrease
		if limit.Relative {
			most *= usual
		}
		if now > usual+most {
			return charge{evidence: GrownStats, facets: []string{limit.facet()}, reason: fmt.Sprintf(
				"%s is %.4g, a counter's increase a second or a gauge's value, and was %.4g at most before it had the revision (limit: %.4g more)", limit.Stat, now, usual, most)}
		}
	}
	return charge{}
}

func (l StatLimit) facet() string {
	return fmt.Sprintf("evidence %s max_increase=%v relative=%t", l.Stat, l.MaxIncrease, l.Relative)
}
