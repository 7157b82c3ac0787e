package chains

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Shrink makes a chain that fails as small as it can: it leaves out steps, then whatever
// is in the fleets, one name at a time and in all steps at once, as long as it still fails.
// fails is asked at most tries times.
func Shrink(c Chain, tries int, fails func(Chain) bool) Chain {
	s := shrinker{Chain: c, tries: tries, fails: fails}
	for again := true; again && s.tries > 0; {
		again = s.dropSteps()
		again = s.dropParts() || again
		again = s.plainer() || again
	}
	return s.Chain
}

type shrinker struct {
	Chain
	tries int
	fails func(Chain) bool
}

// attempt takes a smaller chain over, if it fails too.
func (s *shrinker) attempt(c Chain) bool {
	if s.tries <= 0 || len(c.Steps) == 0 {
		return false
	}
	s.tries--
	if !s.fails(c) {
		return false
	}
	s.Chain = c
	return true
}

func (s *shrinker) dropSteps() (shrunk bool) {
	for i := len(s.Steps) - 1; i >= 0; i-- {
		smaller := s.Chain
		smaller.Steps = slices.Delete(slices.Clone(s.Steps), i, i+1)
		if s.attempt(smaller) {
			shrunk = true
		}
	}
	return shrunk
}

// dropParts leaves out a name in every fleet.
func (s *shrinker) dropParts() (shrunk bool) {
	for _, name := range s.names() {
		if s.change(func(f *Fleet) { f.drop(name) }) {
			shrunk = true
		}
	}
	return shrunk
}

// change tries the same change of every fleet; a fleet that has no listener any more is no
// fleet.
func (s *shrinker) change(do func(*Fleet)) bool {
	smaller := s.Chain
	smaller.Steps = nil
	for _, step := range s.Steps {
		f := step.Fleet.Clone()
		do(&f)
		f.Prune()
		if len(f.Listeners) == 0 {
			return false
		}
		smaller.Steps = append(smaller.Steps, Step{step.What, f})
	}
	if smaller.text() == s.text() {
		return false
	}
	return s.attempt(smaller)
}

// names are those of everything in any fleet: filters first, since what they are put into
// can go then.
func (s *shrinker) names() []string {
	var out []string
	for _, step := range s.Steps {
		f := step.Fleet
		out = append(out, names(f.Filters, func(x Filter) string { return x.Name })...)
		out = append(out, names(f.Listeners, func(x Listener) string { return x.Name })...)
		out = append(out, names(f.Scopes, func(x Scope) string { return x.Name })...)
		out = append(out, names(f.Routes, func(x Routes) string { return x.Name })...)
		out = append(out, names(f.Clusters, func(x Cluster) string { return x.Name })...)
		out = append(out, names(f.Secrets, func(x Secret) string { return x.Name })...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func names[T any](all []T, name func(T) string) []string {
	out := make([]string, len(all))
	for i, x := range all {
		out[i] = name(x)
	}
	return out
}

func (f *Fleet) drop(name string) {
	f.Filters = slices.DeleteFunc(f.Filters, func(x Filter) bool { return x.Name == name })
	f.Listeners = slices.DeleteFunc(f.Listeners, func(x Listener) bool { return x.Name == name })
	f.Scopes = slices.DeleteFunc(f.Scopes, func(x Scope) bool { return x.Name == name })
	f.Routes = slices.DeleteFunc(f.Routes, func(x Routes) bool { return x.Name == name })
	f.Clusters = slices.DeleteFunc(f.Clusters, func(x Cluster) bool { return x.Name == name })
	f.Secrets = slices.DeleteFunc(f.Secrets, func(x Secret) bool { return x.Name == name })
}

// plainer takes away what a fleet can do without.
func (s *shrinker) plainer() (shrunk bool) {
	for _, do := range []func(*Fleet){
		func(f *Fleet) { f.Rollout = Rollout{Stages: 1} },
		eachListener(func(l *Listener) { l.TLS, l.Cert, l.CA, l.Tickets = false, "", "", "" }),
		eachListener(func(l *Listener) { l.CA, l.Tickets, l.Generic, l.Also, l.Alone = "", "", "", 0, false }),
		eachListener(func(l *Listener) { l.Extension, l.Rule, l.Named = "", 0, "" }),
		eachCluster(func(c *Cluster) { c.Injects = "" }),
		eachListener(func(l *Listener) { l.Scoped = "" }),
		func(f *Fleet) { f.Match, f.Setting = 0, 0 },
		func(f *Fleet) {
			for i := range f.Routes {
				f.Routes[i].Host = ""
			}
		},
		eachFilter(func(filter *Filter) { filter.Checks = false }),
		eachFilter(func(filter *Filter) { filter.NoShadow, filter.Discovered, filter.Policy = false, false, "" }),
	} {
		if s.change(do) {
			shrunk = true
		}
	}
	if s.Noise {
		quiet := s.Chain
		quiet.Noise = false
		shrunk = s.attempt(quiet) || shrunk
	}
	return shrunk
}

func eachListener(do func(*Listener)) func(*Fleet) {
	return func(f *Fleet) {
		for i := range f.Listeners {
			do(&f.Listeners[i])
		}
	}
}

func eachCluster(do func(*Cluster)) func(*Fleet) {
	return func(f *Fleet) {
		for i := range f.Clusters {
			do(&f.Clusters[i])
		}
	}
}

func eachFilter(do func(*Filter)) func(*Fleet) {
	return func(f *Fleet) {
		for i := range f.Filters {
			do(&f.Filters[i])
		}
	}
}

// text is the chain on a few lines.
func (c Chain) text() string {
	var b strings.Builder
	for i, step := range c.Steps {
		fmt.Fprintf(&b, "step %d: %s\n%s", i, step.What, step.Fleet)
	}
	return b.String()
}

// Report writes a chain for people: what it is, and the fleet file of each step.
func (c Chain) Report(s Setting) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, disturbed: %t\n%s", c.Seed, c.Noise, c.text())
	for i, step := range c.Steps {
		text, err := step.Fleet.Render(s)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "# fleet-%d.yaml: %s\n%s", i, step.What, text)
	}
	return b.String(), nil
}

// Kind is what failed, without names and numbers: what fails otherwise is another fault.
func Kind(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if _, after, ok := strings.Cut(text, "): "); ok && strings.Contains(text, "step ") {
		text = after
	}
	text = numbered.ReplaceAllString(text, "#")
	return text[:min(len(text), 60)]
}

var numbered = regexp.MustCompile(`[a-z.]*[0-9]+`)
