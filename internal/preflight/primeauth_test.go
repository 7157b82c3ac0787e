package preflight

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/module"
)

var buildPrimeauth = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "primeauth")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "primeauth.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", path, "../../wasm/primeauth/go")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, errors.New(string(out))
	}
	return os.ReadFile(path)
})

// primeauth is the filter of this repository, with a configuration and the demo's checks.
func primeauth(t testing.TB, config string) Plugin {
	t.Helper()
	code, err := buildPrimeauth()
	if err != nil {
		t.Fatal(err)
	}
	return checked(t, "prime-auth", code, config)
}

// Cut at many places, it is refused at each.
func TestInspectPrimeauth(t *testing.T) {
	m := primeauth(t, "").Module
	if err := Inspect(t.Context(), m); err != nil {
		t.Errorf("primeauth: %v", err)
	}
	for n := len(m.Bytes) - 1; n > 0; n /= 3 {
		if err := Inspect(t.Context(), module.New(m.Bytes[:n])); err == nil {
			t.Errorf("primeauth cut to %d of %d bytes is accepted", n, len(m.Bytes))
		}
	}
}

func TestPrimeauth(t *testing.T) {
	s := New(Limits{Start: patient.Start, Call: patient.Call}, nil)
	for _, c := range []struct {
		config string
		change func(*Plugin)
		step   Step
		line   int
		want   string
	}{
		{config: "{}"},
		{config: ""},
		{config: `{"denied_status": 401}`, step: StepCheck, line: 2, want: "expected status 403, got 401"},
		{config: `{"header": "x-token"}`, step: StepCheck, line: 1, want: "expected status 200, got 403"},
		{config: `{"heder": "x-token"}`, step: StepConfigure, want: "it logged: primeauth: plugin configuration: heder: unknown key"},
		{config: "{", step: StepConfigure, want: "not valid JSON"},
		{config: "{}", change: func(p *Plugin) { p.Checks[0].Headers = append(p.Checks[0].Headers, p.Checks[1].Headers...) },
			step: StepCheck, line: 1, want: "got 403"}, // two tokens
		{config: `{"response_header": "x-filter"}`, change: func(p *Plugin) { p.Checks[0].Upstream, p.Checks[0].Status = 404, 404 }},
		{config: `{"allow_paths": ["/health"]}`, change: func(p *Plugin) { p.Checks[1].Path, p.Checks[1].Status = "/health?x=1", 200 }},
	} {
		p := primeauth(t, c.config)
		if c.change != nil {
			c.change(&p)
		}
		_, err := s.Try(t.Context(), p)
		e := (*Error)(nil)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.config, err)
		case c.want == "":
		case !errors.As(err, &e) || e.Step != c.step || e.Line != c.line || !strings.Contains(e.Error(), c.want):
			t.Errorf("%s: %v, want %s at %s, line %d", c.config, err, c.want, c.step, c.line)
		}
	}
	if len(s.programs.kept) != 1 {
		t.Errorf("compiled %d times", len(s.programs.kept))
	}
}
