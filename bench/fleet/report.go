package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const pushHeader = `| push | proxies | server | median | p99 | last | × floor | server CPU | × floor | peak memory | × floor | sent |
|---|---|---|---|---|---|---|---|---|---|---|---|`

// pushRow is a line of the table: medians of the pushes, and of the ratios, each
// of which is of two pushes that followed one another.
func pushRow(c, floor *contender, split bool) string {
	what := string(c.kind)
	if split {
		what += ", two revisions"
	}
	if c.secure != "" {
		what += ", mutual TLS"
	}
	last := func(p pushed) time.Duration { return p.last }
	cpu := func(p pushed) time.Duration { return p.cpu }
	peak := func(p pushed) int64 { return p.peak }
	return fmt.Sprintf("| %s | %d | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |", what, c.n, c.side,
		ms(middle(c.pushes, func(p pushed) time.Duration { return p.median })),
		ms(middle(c.pushes, func(p pushed) time.Duration { return p.p99 })),
		ms(middle(c.pushes, last)), ratio(c, floor, last), ms(middle(c.pushes, cpu)), ratio(c, floor, cpu),
		mib(middle(c.pushes, peak)), ratio(c, floor, peak), mb(middle(c.pushes, func(p pushed) int64 { return p.bytes })))
}

const connectHeader = `| proxies | server | last connected | server CPU | resident for each at rest | heap | stacks | goroutines |
|---|---|---|---|---|---|---|---|`

// connectRow is a line of the table of connecting and of idle proxies.
func connectRow(c *contender) string {
	m, n := c.connect.memory, int64(c.n)
	return fmt.Sprintf("| %d | %s | %s | %s | %.1f KiB | %.1f KiB | %.1f KiB | %.1f |", c.n, c.side, ms(c.connect.last), ms(c.connect.cpu),
		kib(c.connect.each), kib(m.Heap/n), kib(m.Stacks/n), float64(m.Goroutines)/float64(n))
}

func kib(n int64) float64 { return float64(n) / 1024 }

func middle[T cmp.Ordered](pushes []pushed, of func(pushed) T) T {
	values := make([]T, len(pushes))
	for i, p := range pushes {
		values[i] = of(p)
	}
	return median(values)
}

func median[T cmp.Ordered](values []T) T {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

func ratio[T time.Duration | int64](c, floor *contender, of func(pushed) T) string {
	ratios := make([]float64, len(c.pushes))
	for i := range c.pushes {
		ratios[i] = float64(of(c.pushes[i])) / float64(of(floor.pushes[i]))
	}
	slices.Sort(ratios)
	return fmt.Sprintf("%.2f", ratios[len(ratios)/2])
}

func ms(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

func mb(n int64) string {
	if n < 10_000_000 {
		return fmt.Sprintf("%.3f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%d MB", n/1_000_000)
}
