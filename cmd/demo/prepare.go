package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// prepare builds and installs what the demo needs, side by side, and says every
// few seconds what it is still at: a first run takes minutes and must not look hung.
func prepare(ctx context.Context) (envoyPath string, err error) {
	s := newSteps()
	stop := s.report(ctx)
	defer stop()
	var wg sync.WaitGroup
	var errs [3]error
	do := func(i int, what string, f func() error) {
		wg.Go(func() {
			s.begin(what)
			errs[i] = f()
			s.end(what, errs[i])
		})
	}
	do(0, "building xds (the first time: Envoy's whole API, a minute or two)", func() error { return makeTarget(ctx, "build") })
	do(1, "building the filter", func() error { return makeTarget(ctx, "filter") })
	do(2, "looking for Envoy "+envoy.Version, func() error {
		var err error
		envoyPath, err = envoy.Find(ctx, toolsDir, s.say)
		return err
	})
	wg.Wait()
	return envoyPath, errors.Join(errs[:]...)
}

// makeTarget runs a target of the Makefile, and shows its output only if it fails.
func makeTarget(ctx context.Context, target string) error {
	out, err := exec.CommandContext(ctx, "make", "--no-print-directory", target).CombinedOutput()
	if err != nil {
		return fmt.Errorf("`make %s` failed; what the compiler says:\n%s", target, strings.TrimSpace(string(out)))
	}
	return nil
}

// steps tells a person what is going on.
type steps struct {
	mu      sync.Mutex
	running map[string]time.Time
}

func newSteps() *steps { return &steps{running: map[string]time.Time{}} }

func (s *steps) begin(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[what] = time.Now()
	fmt.Printf("  … %s\n", what)
}

func (s *steps) end(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mark := "✓"
	if err != nil {
		mark = "✗"
	}
	fmt.Printf("  %s %s, %.1f s\n", mark, what, time.Since(s.running[what]).Seconds())
	delete(s.running, what)
}

func (s *steps) say(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Printf("  … %s\n", what)
}

// report repeats what is running, every few seconds, until stop.
func (s *steps) report(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.mu.Lock()
				for what, since := range s.running {
					fmt.Fprintf(os.Stdout, "    still %s, %d s\n", what, int(time.Since(since).Seconds()))
				}
				s.mu.Unlock()
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}
