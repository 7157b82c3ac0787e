package sandbox

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// BenchmarkTry holds a try in a child against one in this process, of the same filter, in turns: the medians of
// each, and by how much the child's is longer, in milliseconds, also of the fastest of each: on a busy machine a process waits for its turn. $PRIMEAUTH names a module; else it is a small one.
//
//	go test ./internal/sandbox -run '^$' -bench Try -benchtime 50x
func BenchmarkTry(b *testing.B) {
	tried := plugin200(b, "", "")
	if path := os.Getenv("PRIMEAUTH"); path != "" {
		code, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		tried.Module, tried.Checks = module.New(code), nil
	}
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "new module", true: "new configuration"}[again], func(b *testing.B) {
			p, here := New(slog.New(slog.DiscardHandler), preflight.Limits{}, nil), preflight.New(preflight.Limits{}, nil)
			defer p.Close()
			var child, same []time.Duration
			for i := range b.N + 1 {
				if !again {
					here = preflight.New(preflight.Limits{}, nil)
					p.forget()
					<-p.ready()
				}
				took, beside := timed(b, p.Try, tried), timed(b, here.Try, tried)
				if i > 0 || !again {
					child, same = append(child, took), append(same, beside)
				}
			}
			b.ReportMetric(median(child), "ms-child")
			b.ReportMetric(median(same), "ms-here")
			b.ReportMetric(median(child)-median(same), "ms-more")
			b.ReportMetric(float64(child[0]-same[0])/float64(time.Millisecond), "ms-more-of-the-fastest")
		})
	}
}

// forget ends the children that have a module.
func (p *Pool) forget() {
	p.mu.Lock()
	kept := p.kept
	p.kept = nil
	p.mu.Unlock()
	for _, c := range kept {
		c.end()
	}
}

// ready is closed when a child waits for a module.
func (p *Pool) ready() <-chan struct{} {
	p.fill()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.warm.started
}

func timed(b *testing.B, try func(context.Context, preflight.Plugin) (preflight.Report, error), tried preflight.Plugin) time.Duration {
	began := time.Now()
	if _, err := try(b.Context(), tried); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2]) / float64(time.Millisecond)
}
