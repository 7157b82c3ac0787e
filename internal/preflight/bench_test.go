package preflight

import (
	"os"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// BenchmarkTry measures what preflight costs a reload, beside compiling alone:
// "x compile" is how many times as long a try takes. $PRIMEAUTH names another module than the Go one.
//
//	go test ./internal/preflight -run '^$' -bench Try
func BenchmarkTry(b *testing.B) {
	p := primeauth(b, "{}")
	if path := os.Getenv("PRIMEAUTH"); path != "" {
		code, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		p.Module = module.New(code)
	}
	try := func(b *testing.B, s *Sandbox) {
		if _, err := s.Try(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
	var compiling float64
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			if err := Inspect(b.Context(), p.Module); err != nil {
				b.Fatal(err)
			}
		}
		compiling = perOp(b)
	})
	b.Run("new module", func(b *testing.B) {
		for b.Loop() {
			try(b, New(Limits{}, nil))
		}
		b.ReportMetric(perOp(b)/compiling, "x-compile")
	})
	b.Run("new configuration", func(b *testing.B) {
		s := New(Limits{}, nil)
		try(b, s)
		for b.Loop() {
			try(b, s)
		}
		b.ReportMetric(perOp(b)/compiling, "x-compile")
	})
	b.Run("100 checks more", func(b *testing.B) {
		s := New(Limits{}, nil)
		checks := p.Checks
		for range 50 {
			p.Checks = append(p.Checks, checks...)
		}
		defer func(before []fleet.Check) { p.Checks = before }(checks)
		try(b, s)
		for b.Loop() {
			try(b, s)
		}
		b.ReportMetric(perOp(b)/compiling, "x-compile")
	})
}

func perOp(b *testing.B) float64 { return float64(b.Elapsed()) / float64(b.N) }
