package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// goSpelling lets `xds check -run` be written as `go test -run` is.
func goSpelling(args []string) []string {
	out := slices.Clone(args)
	for i, arg := range out {
		if arg == "--" || out[0] != "check" {
			break
		}
		if arg == "-run" || strings.HasPrefix(arg, "-run=") {
			out[i] = "-" + arg
		}
	}
	return out
}

// selection is the checks that --run names.
type selection struct {
	pattern *regexp.Regexp // nil for all
	offered []string       // the names of those that there are
	chosen  int
}

func selectionOf(pattern string) (selection, error) {
	if pattern == "" {
		return selection{}, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return selection{}, usageError{fmt.Errorf("--run: %w", err)}
	}
	return selection{pattern: re}, nil
}

// choose leaves a filter the checks that are wanted, and only these: nothing hostile. It
// reports whether there are any.
func (s *selection) choose(p *preflight.Plugin) bool {
	if s.pattern == nil {
		return true
	}
	other := func(c fleet.Check) bool {
		name := checkName(c)
		s.offered = append(s.offered, name)
		return !s.pattern.MatchString(name) && !s.pattern.MatchString(p.Name+"/"+name)
	}
	p.Checks = slices.DeleteFunc(slices.Clone(p.Checks), other)
	p.Routed = slices.DeleteFunc(slices.Clone(p.Routed), other)
	p.Hostile.Off = true
	s.chosen += len(p.Checks) + len(p.Routed)
	return len(p.Checks)+len(p.Routed) > 0
}

// missed says that no check has such a name.
func (s *selection) missed() error {
	switch {
	case s.pattern == nil || s.chosen > 0:
		return nil
	case len(s.offered) == 0:
		return fmt.Errorf("--run %q: there are no checks", s.pattern)
	}
	return fmt.Errorf("--run %q matches no check: there are %s", s.pattern, strings.Join(s.offered, ", "))
}

// checkName is what a check is called: one of the command line has no name.
func checkName(c fleet.Check) string { return cmp.Or(c.Name, c.Asks()) }
