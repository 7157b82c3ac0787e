package preflight

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// busy works for about so many rounds of a loop in a function that a test names, some
// nanoseconds each where it is compiled.
func busy(function, rounds string) string {
	return `(func (export "` + function + `") (param i32 i32) (result i32) (local $n i64)
  (loop $again
    (local.set $n (i64.add (local.get $n) (i64.const 1)))
    (br_if $again (i64.lt_u (local.get $n) (i64.const ` + rounds + `))))
  (i32.const 1))`
}

// What is past the interpreter's patience is compiled, and judged by that; another
// configuration of it is not compiled again, and what was interpreted is let go of.
func TestCompiled(t *testing.T) {
	s := New(patient, lookup)
	s.patience = Limits{Start: 10 * time.Millisecond, Call: time.Second}
	p := plugin(t, busy("proxy_on_configure", "3000000"))
	for range 2 {
		report, err := s.Try(t.Context(), p)
		if err != nil || report.Unjudged || len(report.Warnings) > 0 {
			t.Fatalf("%v, %v", report, err)
		}
		if len(s.programs.kept) != 1 || s.programs.kept[0].engine != compiled {
			t.Errorf("%d are kept", len(s.programs.kept))
		}
	}
	p.Checks[0].Status = 403
	if _, err := s.Try(t.Context(), p); err == nil || !strings.Contains(err.Error(), "expected status 403, got 200") {
		t.Errorf("with a wrong check: %v", err)
	}
}

// A filter's own limits hold for it, and are named where they are passed.
func TestLimits(t *testing.T) {
	s := New(Limits{Start: time.Minute, Call: time.Minute}, lookup)
	p := plugin(t, busy("proxy_on_configure", "100000000000"))
	p.Limits = fleet.Preflight{Start: 200 * time.Millisecond}
	_, err := s.Try(t.Context(), p)
	e := (*Error)(nil)
	if !errors.As(err, &e) || e.Step != StepConfigure || !strings.Contains(e.Reason, "within 200ms: a loop, or too much work (`preflight: {start: …}`") {
		t.Errorf("%v", err)
	}
	p = plugin(t, `(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (drop (memory.grow (i32.const 4096))) (i32.const 1))`)
	if _, err := s.Try(t.Context(), p); err == nil || !strings.Contains(err.Error(), "more than 256 MiB") {
		t.Errorf("%v", err)
	}
	p.Limits = fleet.Preflight{Memory: 512 << 20}
	if _, err := s.Try(t.Context(), p); err != nil {
		t.Errorf("with more memory: %v", err)
	}
}

// With `preflight: off` a filter is not judged, which is a warning; its module is looked at.
func TestOff(t *testing.T) {
	s := New(Limits{}, lookup)
	p := plugin(t, busy("proxy_on_configure", "100000000000"))
	p.Limits.Off = true
	report, err := s.Try(t.Context(), p)
	if err != nil || !report.Unjudged || len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0].Error(), "not judged here: `preflight: off`") {
		t.Errorf("%v, %v", report, err)
	}
	p.Module = junk(t)
	if _, err := s.Try(t.Context(), p); err == nil {
		t.Error("what is no module passes")
	}
}

// Limits are of what a call works, and not of how long it takes.
func TestMeasured(t *testing.T) {
	const limit = 20 * time.Millisecond
	waited := make(chan struct{})
	time.AfterFunc(5*limit, func() { close(waited) })
	took, err := measured(t.Context(), limit, waits(waited))
	if err != nil || took > limit {
		t.Errorf("one that waits: %v, %v", took, err)
	}
	took, err = measured(t.Context(), limit, works)
	if err == nil || took < limit || took > time.Second {
		t.Errorf("one that works: %v, %v", took, err)
	}
}

func waits(until <-chan struct{}) func(context.Context) error {
	return func(ctx context.Context) error {
		<-until
		return ctx.Err()
	}
}

func works(ctx context.Context) error {
	for ctx.Err() == nil {
		continue
	}
	return ctx.Err()
}

func junk(t *testing.T) *module.Module {
	t.Helper()
	return module.New([]byte("\x00asm\x01\x00\x00\x00"))
}
