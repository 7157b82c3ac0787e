package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// report prints the README's table of requests.
func (b *bench) report(o options) {
	headers := "the headers that curl sends"
	if o.bare {
		headers = "no headers but Host and the token"
	}
	fmt.Printf("%s. An Envoy of one worker\n(`--concurrency 1`, v8) that answers by itself, with a listener for each filter, on a processor\nthat is not the load's; %d keep-alive connections with one request under way each,\nwith %s; medians of %d slices of %v with each\nof %d Envoys, differences and ratios pair by pair.\n",
		machine(), o.connections, headers, o.rounds, o.slice, o.processes)
	fmt.Print("\n| filter | token | requests/s | added µs | added CPU µs | of the floor's requests/s |\n|---|---|---|---|---|---|\n")
	base := b.lane(none, allowed)
	for _, l := range b.lanes {
		fmt.Printf("| %s | %s | %.0f | %.1f | %.1f | %.2f |\n", l.side.name, l.request.name,
			l.rate(), l.added(base), l.addedCPU(base), l.of(b.floor(l.request)))
	}
}

// reportModules prints that of modules.
func reportModules(modules []module) {
	fmt.Print("\n| module | KB | push to ACK, ms | memory of a VM, MB |\n|---|---|---|---|\n")
	for _, m := range modules {
		fmt.Printf("| %s | %.1f | %.1f (%.1f to %.1f) | %.2f |\n", m.name, m.kilobytes,
			ms(m.acked[len(m.acked)/2]), ms(m.acked[0]), ms(m.acked[len(m.acked)-1]), m.megabytes)
	}
}

// machine describes what this ran on.
func machine() string {
	model := runtime.GOARCH
	text, _ := os.ReadFile("/proc/cpuinfo") // Linux only
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %d cores, %s", model, runtime.NumCPU(), time.Now().Format(time.DateOnly))
}

// target is a figure and what it should be.
type target struct {
	what   string
	figure float64
	limit  float64
	most   bool // the limit is the most that it may be, not the least
}

func (t target) String() string {
	word, met := "least", t.figure >= t.limit
	if t.most {
		word, met = "most", t.figure <= t.limit
	}
	verdict := "missed"
	if met {
		verdict = "met"
	}
	return fmt.Sprintf("%-6s %s: %.3g, at %s %.3g", verdict, t.what, t.figure, word, t.limit)
}

// targets says which are met: for whoever works on the filter, not for the README.
func (b *bench) targets(modules []module) {
	var all []target
	for _, side := range []struct {
		name string
		part float64
	}{{rustFilter, 0.9}, {goFilter, 0.6}} {
		for _, r := range []request{allowed, denied} {
			all = append(all, target{what: side.name + ", " + r.name + ", of the floor", figure: b.lane(side.name, r).of(b.floor(r)), limit: side.part})
		}
		base := b.lane(none, allowed)
		all = append(all, target{side.name + ", worst case by allowed, added time", b.lane(side.name, worst).added(base) / b.lane(side.name, allowed).added(base), 1.3, true})
	}
	for _, r := range []request{allowed, denied} {
		all = append(all, target{what: rustFilter + ", " + r.name + ", of what the tutorial's filter does", figure: b.lane(rustFilter, r).of(b.lane(tutorial, r)), limit: 1.25})
	}
	acked := map[string]time.Duration{}
	for _, m := range modules {
		acked[m.name] = m.acked[len(m.acked)/2]
		if m.name == rustFilter {
			all = append(all, target{rustFilter + ", KB", m.kilobytes, 64, true})
		}
	}
	if len(modules) > 0 {
		all = append(all, target{"push to ACK, Rust by Go", float64(acked[rustFilter]) / float64(acked[goFilter]), 0.1, true})
	}
	fmt.Fprintln(os.Stderr)
	for _, t := range all {
		fmt.Fprintln(os.Stderr, t)
	}
}
