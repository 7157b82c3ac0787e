package preflight

import (
	"errors"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// Whatever a module is, it is tried within the limits, and nothing panics.
func FuzzTry(f *testing.F) {
	for _, archive := range []string{"refused.txtar", "passed.txtar"} {
		for _, file := range texts(f, archive) {
			f.Add(assemble(f, string(file.Data)).Bytes)
		}
	}
	limits := Limits{Start: 200 * time.Millisecond, Call: 20 * time.Millisecond, Memory: 4 << 20}
	f.Fuzz(func(t *testing.T, code []byte) {
		began := time.Now()
		s := New(limits, nil)
		_, err := s.Try(t.Context(), Plugin{Module: module.New(code), Checks: []fleet.Check{check(1, "32323", 200)}})
		if e := (*Error)(nil); err != nil && !errors.As(err, &e) {
			t.Errorf("an error without a step: %v", err)
		}
		// Two tries of a start and a few calls, each at its limit, on a busy machine.
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
