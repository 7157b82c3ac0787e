package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fuzzTargets are those of the tree, "./internal/xds FuzzADS", by what Go reads.
func fuzzTargets(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != ".." {
			return fs.SkipDir // tools
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				out = append(out, "./"+filepath.ToSlash(filepath.Dir(strings.TrimPrefix(name, "../")))+" "+f.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// Every fuzz target is run by `make fuzz`, and that by CI.
func TestEveryFuzzTargetIsRun(t *testing.T) {
	targets := fuzzTargets(t)
	listed, err := exec.CommandContext(t.Context(), "sh", "../.ci/fuzz", "-list").Output()
	if err != nil {
		t.Fatal(err)
	}
	run := strings.Split(strings.TrimSpace(string(listed)), "\n")
	slices.Sort(run)
	if len(targets) < 10 || !slices.Equal(run, targets) {
		t.Errorf("make fuzz runs\n%s\nand there are\n%s", strings.Join(run, "\n"), strings.Join(targets, "\n"))
	}
	for file, line := range map[string]string{"../Makefile": "sh .ci/fuzz '$(FUZZ)'\n", "../.ci/run": "\nmake fuzz\n"} {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), line) {
			t.Errorf("%s lacks %q (%v)", file, line, err)
		}
	}
}

// A target whose time is up has passed, also where Go calls that an error; anything else that ends it has not.
func TestFuzzEndsWithItsTime(t *testing.T) {
	const up = "fuzz: elapsed: 10s, execs: 7 (1/sec)\n--- FAIL: FuzzADS (10.05s)\n    context deadline exceeded\nFAIL\n"
	for _, c := range []struct {
		log  string
		code int
		good bool
	}{
		{"fuzz: elapsed: 10s, execs: 7 (1/sec)\nPASS\n", 0, true},
		{up, 1, true},
		{up + "    Failing input written to testdata/fuzz/FuzzADS/1\n", 1, false},
		{"--- FAIL: FuzzADS (1.05s)\n    fuzzing process hung or terminated unexpectedly: exit status 2\n", 1, false},
		{"panic: the wait: context deadline exceeded\n", 2, false},
		{"", 1, false},
	} {
		bin := t.TempDir()
		script := fmt.Sprintf("#!/bin/sh\nprintf %%s '%s'\nexit %d\n", c.log, c.code)
		if err := os.WriteFile(filepath.Join(bin, "_-internal-xds.test"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "sh", "../.ci/fuzz", "-one", "./internal/xds", "FuzzADS")
		cmd.Env = append(os.Environ(), "FUZZBIN="+bin)
		if out, err := cmd.CombinedOutput(); (err == nil) != c.good {
			t.Errorf("ends with %d and %q: %v, %s", c.code, c.log, err, out)
		}
	}
}

// What fuzzing has found is kept beside the target that found it, and is small: each clone has it,
// and each `go test` runs it.
func TestCorporaAreSmall(t *testing.T) {
	const files, bytes = 40, 4 << 10
	targets := fuzzTargets(t)
	corpora, err := filepath.Glob("../*/*/testdata/fuzz/*")
	if err != nil || len(corpora) == 0 {
		t.Fatal(corpora, err)
	}
	for _, corpus := range corpora {
		room := filepath.ToSlash(filepath.Dir(filepath.Dir(filepath.Dir(corpus))))
		if target := "./" + strings.TrimPrefix(room, "../") + " " + filepath.Base(corpus); !slices.Contains(targets, target) {
			t.Errorf("%s is of no target", corpus)
		}
		entries, err := os.ReadDir(corpus)
		if err != nil || len(entries) > files {
			t.Errorf("%s has %d files, and may have %d (%v)", corpus, len(entries), files, err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Size() > bytes {
				t.Errorf("%s/%s has more than %d bytes (%v)", corpus, e.Name(), bytes, err)
			}
		}
	}
}
