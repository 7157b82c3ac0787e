package main

import (
	"fmt"
	"slices"
	"time"
)

const header = `| change | Waxwing | floor | ratio | notice | settle | build | push | deliver | target |
|---|---|---|---|---|---|---|---|---|---|`

// row is a line of the table: medians, and of the totals the range as well.
func row(name string, samples []sample) string {
	pick := func(f func(sample) time.Duration) []time.Duration {
		out := make([]time.Duration, len(samples))
		for i, s := range samples {
			out[i] = f(s)
		}
		slices.Sort(out)
		return out
	}
	ours, floor := pick(func(s sample) time.Duration { return s.ours }), pick(func(s sample) time.Duration { return s.floor })
	limit := time.Duration(1.15*float64(median(floor))) + quiet
	verdict := "met"
	if median(ours) > limit {
		verdict = "MISSED"
	}
	ratios := make([]float64, len(samples)) // pair by pair
	for i, s := range samples {
		ratios[i] = float64(s.ours) / float64(s.floor)
	}
	slices.Sort(ratios)
	part := func(f func(sample) time.Duration) string { return ms(median(pick(f))) }
	return fmt.Sprintf("| %s | %s (%s–%s) | %s (%s–%s) | %.2f | %s | %s | %s | %s | %s | ≤ %s: %s |", name,
		ms(median(ours)), ms(ours[0]), ms(ours[len(ours)-1]), ms(median(floor)), ms(floor[0]), ms(floor[len(floor)-1]),
		ratios[len(ratios)/2],
		part(func(s sample) time.Duration { return s.notice }), part(func(s sample) time.Duration { return s.settle }),
		part(func(s sample) time.Duration { return s.build }), part(func(s sample) time.Duration { return s.push }),
		part(func(s sample) time.Duration { return s.deliver }), ms(limit), verdict)
}

func median(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
