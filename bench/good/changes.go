package main

import (
	"bytes"
	_ "embed"
	"math/rand/v2"
	"slices"
	"strings"
	"text/template"

	"github.com/waxwing-xds/waxwing/internal/rig"

	// What the fleet file is made of.
	_ "github.com/waxwing-xds/waxwing/internal/extensions"
)

//go:embed fleet.yaml.tmpl
var fleetText string

var fleetTemplate = template.Must(template.New("").Parse(fleetText))

// A state is what the fleet file says, and its module.
type state struct {
	Build int // of the module

	Config, Policy, Watch           int
	Mutation, Runtime               int
	Checks, Routes, Hosts, Clusters int // so many more of them
	Timeout, Connect, Buffer        int // two of seconds, and bytes
	AccessLog, Header               int // 0: none
	Cors, Listener                  bool
	Gone                            bool // a path that users ask for: this is bad
	Stages                          string
	Endpoints                       []string // ports
	Certificate                     rig.Certificate
	services                        [2]string // ports of both services
}

// YAML is the fleet file.
func (s state) YAML() []byte {
	var text bytes.Buffer
	if err := fleetTemplate.Execute(&text, s); err != nil {
		panic(err) // the template is here
	}
	return text.Bytes()
}

// first is what is served before the first change.
func first(stages string, services [2]string) (state, error) {
	s := state{
		Build: 1, Stages: stages, Watch: 600, Timeout: 30, Connect: 5, Buffer: 1 << 20,
		Endpoints: services[:1], services: services,
	}
	return s, s.rotate()
}

// rotate is another certificate.
func (s *state) rotate() (err error) {
	s.Certificate, err = rig.NewCertificate(int64(next()))
	return err
}

// FailurePolicy is that of the filter.
func (s state) FailurePolicy() string {
	return [...]string{"FAIL_CLOSED", "FAIL_OPEN", "FAIL_RELOAD"}[s.Policy%3]
}

// A kind is a kind of change: users must be answered after it as before.
type kind struct {
	name   string
	change func(*state)
}

// kinds are those that change one thing.
var kinds = []kind{
	{"another build of the filter", func(s *state) { s.Build = next() }},
	{"configuration of the filter", func(s *state) { s.Config = next() }},
	{"failure policy of the filter", func(s *state) { s.Policy++ }},
	{"route added", func(s *state) { s.Routes++ }},
	{"timeout of a route", func(s *state) { s.Timeout = 30 + next() }},
	{"header of responses", func(s *state) { s.Header = next() }},
	{"virtual host added", func(s *state) { s.Hosts++ }},
	{"endpoint added or removed", func(s *state) { s.Endpoints = s.services[:3-len(s.Endpoints)] }},
	{"setting of a cluster", func(s *state) { s.Connect = 5 + next() }},
	{"cluster added", func(s *state) { s.Clusters++ }},
	{"access log of a listener", func(s *state) { s.AccessLog = next() }},
	{"buffers of a listener", func(s *state) { s.Buffer = 1<<20 + next() }},
	{"listener added or removed", func(s *state) { s.Listener = !s.Listener }},
	{"filter beside, in or out", func(s *state) { s.Cors = !s.Cors }},
	{"filter beside, by ECDS", func(s *state) { s.Mutation = next() }},
	{"certificate rotated", func(s *state) {
		if err := s.rotate(); err != nil {
			panic(err) // the system has no random numbers
		}
	}},
	{"runtime layer", func(s *state) { s.Runtime = next() }},
	{"checks alone", func(s *state) { s.Checks++ }},
	{"rollout settings alone", func(s *state) { s.Watch = 600 + next() }},
}

// Kinds that are made of those.
const (
	several = "several at once"
	revert  = "the old file again"
)

var counted int

// next was never there before.
func next() int { counted++; return counted }

// order is n kinds of which each has something in its name, and is there as often as the others or
// once more, by chance.
func order(n int, only string, random *rand.Rand) (names []string) {
	all := []string{several, revert}
	for _, k := range kinds {
		all = append(all, k.name)
	}
	all = slices.DeleteFunc(all, func(name string) bool { return !strings.Contains(name, only) })
	for len(all) > 0 && len(names) < n {
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		names = append(names, all...)
	}
	return names[:min(n, len(names))]
}

// changed is the state after a change; before is the one that is reverted to.
func changed(now, before state, name string, random *rand.Rand) state {
	if name == revert {
		return before
	}
	picked := random.Perm(len(kinds))[:3]
	for i, k := range kinds {
		if name == k.name || name == several && (i == picked[0] || i == picked[1] || i == picked[2]) {
			k.change(&now)
		}
	}
	return now
}
