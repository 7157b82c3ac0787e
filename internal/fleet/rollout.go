package fleet

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Rollout says how a new revision reaches the proxies of a fleet. It is stored
// with the revision, durations in nanoseconds: see snapshot.Format.
type Rollout struct {
	Stages []Stage `json:"stages"`
	// Prove is how long the checks must hold in a proxy's shadow listener before
	// its real one takes a revision.
	Prove time.Duration `json:"prove"`
	// Limits are from when on evidence is against a revision.
	Limits Limits `json:"limits"`
	// Watch is for how long evidence against a revision that is served takes it back,
	// and OnEvidence which of it: all ("undo"), none ("report"), or "" for crashed VMs
	// and failing checks.
	Watch      time.Duration `json:"watch,omitempty"`
	OnEvidence string        `json:"on_evidence,omitempty"`
	// Evidence are statistics of proxies that count against a revision when they grow.
	Evidence []StatLimit `json:"evidence,omitempty"`
	Probes   Probes      `json:"probes,omitzero"`
}

// Probes are how often proxies ask the checks of their real listeners, which users ask as well.
type Probes struct {
	// Interval is the time between two requests of one check by one proxy, at least.
	Interval time.Duration `json:"interval,omitempty"`
	// PerSecond bounds the requests of all proxies of the fleet together.
	PerSecond int `json:"per_second,omitempty"`
}

// OrDefault has the defaults for what it does not say.
func (p Probes) OrDefault() Probes {
	return Probes{Interval: cmp.Or(p.Interval, 100*time.Millisecond), PerSecond: cmp.Or(p.PerSecond, 1000)}
}

// Every is the time between two requests of one check by each of some proxies, for as many
// checks: as short as it may be.
func (p Probes) Every(proxies, checks int) time.Duration {
	p = p.OrDefault()
	return max(p.Interval, time.Duration(proxies*checks)*time.Second/time.Duration(p.PerSecond))
}

// A StatLimit is by how much a counter may grow more, or a gauge be larger, where a proxy has a
// revision than it was before. https://www.envoyproxy.io/docs/envoy/latest/operations/admin#get--stats
type StatLimit struct {
	Stat string `json:"stat"` // its full name
	// MaxIncrease is that of a gauge's value, and of a counter's a second; where Relative, a
	// share of what it was before: 0.2 is a fifth.
	MaxIncrease float64 `json:"max_increase"`
	Relative    bool    `json:"relative,omitempty"`
}

// A Stage is a part of the fleet, in addition to those of the stages before it.
type Stage struct {
	Name string `json:"name"`
	// Percent is the share of the connected proxies, those of earlier stages
	// included: over 0, to 100. Proxies is their number, where Percent is 0.
	Percent float64 `json:"percent,omitempty"`
	Proxies int     `json:"proxies,omitempty"`
	// Match narrows the stage to some of the proxies, by label or by name.
	Match    Match         `json:"match,omitzero"`
	Bake     time.Duration `json:"bake,omitempty"`   // how long every proxy of it must hold
	Deadline time.Duration `json:"deadline"`         // how long a proxy may be in one phase, 0 for as long as it takes
	Manual   bool          `json:"manual,omitempty"` // a person says when it ends: `approve: manual`
}

// Limits are thresholds of evidence. https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/stats
type Limits struct {
	// Errors is by how much the share of 5xx responses may exceed that of the same
	// proxies before, and of the rest of the fleet: 0.05 is five in a hundred.
	Errors float64 `json:"errors"`
	// Answers is by how much the shares of 3xx and of 4xx among the other answers than 5xx may
	// change on proxies that have a new revision: 0.05 is five in a hundred; 0, as they like.
	Answers float64 `json:"answers,omitempty"`
	// Latency is how many times as long requests may take as before, and Length how many times
	// as short answers may be; 0, as they like.
	Latency float64 `json:"latency,omitempty"`
	Length  float64 `json:"length,omitempty"`
	// MinRequests is how many requests it takes to judge by.
	MinRequests int `json:"min_requests"`
	// Disconnects is how many times proxies that have the revision may be lost in a stage.
	Disconnects int `json:"disconnects"`
	// Troubled is the share of a stage's proxies that it goes on without, where they
	// have trouble of their own (a port in use, a file missing on the host). One may,
	// unless it is 0.
	Troubled float64 `json:"troubled,omitempty"`
}

// DefaultRollout is that of a fleet file that says nothing: one proxy, then all.
func DefaultRollout() Rollout {
	return Rollout{
		Stages: []Stage{
			{Name: "canary", Proxies: 1, Bake: 5 * time.Second, Deadline: defaultDeadline},
			{Name: "all", Percent: 100, Bake: lastBake, Deadline: defaultDeadline},
		},
		Prove:  time.Second,
		Watch:  10 * time.Minute,
		Limits: Limits{Errors: 0.05, Answers: 0.05, Latency: 5, Length: 10, MinRequests: 20, Disconnects: 3, Troubled: 0.1},
	}
}

const (
	defaultDeadline = 5 * time.Minute
	// lastBake is that of the last stage where the file does not say it: what all
	// proxies have is good only when they have had it for a moment.
	lastBake = 5 * time.Second
	// minInterval is that of probes: a proxy asks on its main thread.
	minInterval = 10 * time.Millisecond
)

type rolloutDocument struct {
	Stages []struct {
		Name     string            `yaml:"name"`
		Percent  at[float64]       `yaml:"percent"`
		Proxies  at[int]           `yaml:"proxies"`
		Match    Match             `yaml:"match"`
		Bake     at[time.Duration] `yaml:"bake"`
		Deadline at[time.Duration] `yaml:"deadline"`
		Approve  at[string]        `yaml:"approve"`
	} `yaml:"stages"`
	Prove    at[time.Duration] `yaml:"prove"`
	Watch    at[time.Duration] `yaml:"watch"`
	On       at[string]        `yaml:"on_evidence"`
	Evidence []struct {
		Stat        at[string] `yaml:"stat"`
		MaxIncrease at[string] `yaml:"max_increase"`
	} `yaml:"evidence"`
	Probes struct {
		Interval  at[time.Duration] `yaml:"interval"`
		PerSecond at[int]           `yaml:"per_second"`
	} `yaml:"probes"`
	Limits struct {
		Errors      at[float64] `yaml:"errors"`
		Answers     at[string]  `yaml:"answers"`
		Latency     at[string]  `yaml:"latency"`
		Length      at[string]  `yaml:"length"`
		MinRequests at[int]     `yaml:"min_requests"`
		Disconnects at[int]     `yaml:"disconnects"`
		Troubled    at[float64] `yaml:"troubled"`
	} `yaml:"limits"`
}

// rollout reads the rollout stanza, with defaults for what it does not say.
func (p *parser) rollout() {
	doc, r := p.doc.Rollout, DefaultRollout()
	r.Prove = p.duration("prove", doc.Prove, r.Prove)
	r.Watch = p.duration("watch", doc.Watch, r.Watch)
	set(p, &r.OnEvidence, doc.On, "on_evidence", func(v string) bool { return v == "undo" || v == "report" }, "undo or report")
	set(p, &r.Limits.Errors, doc.Limits.Errors, "limits.errors", func(v float64) bool { return v >= 0 && v <= 1 }, "a share from 0 to 1")
	r.Limits.Answers = p.orOff("limits.answers", doc.Limits.Answers, r.Limits.Answers, func(v float64) bool { return v > 0 && v < 1 }, "a share over 0 and under 1")
	times := func(v float64) bool { return v > 1 && v <= 1e6 }
	r.Limits.Latency = p.orOff("limits.latency", doc.Limits.Latency, r.Limits.Latency, times, "a factor over 1")
	r.Limits.Length = p.orOff("limits.length", doc.Limits.Length, r.Limits.Length, times, "a factor over 1")
	set(p, &r.Limits.MinRequests, doc.Limits.MinRequests, "limits.min_requests", func(v int) bool { return v > 0 }, "over 0")
	set(p, &r.Limits.Disconnects, doc.Limits.Disconnects, "limits.disconnects", func(v int) bool { return v >= 0 }, "0 or more")
	set(p, &r.Limits.Troubled, doc.Limits.Troubled, "limits.troubled", func(v float64) bool { return v >= 0 && v <= 1 }, "a share from 0 to 1")
	set(p, &r.Probes.Interval, doc.Probes.Interval, "probes.interval", func(v time.Duration) bool { return v >= minInterval && v <= time.Minute }, "from 10ms to 1m")
	set(p, &r.Probes.PerSecond, doc.Probes.PerSecond, "probes.per_second", func(v int) bool { return v > 0 && v <= 1_000_000 }, "from 1 to 1000000")
	r.Evidence = p.evidence()
	if len(doc.Stages) > 0 {
		r.Stages = nil
	}
	for i := range doc.Stages {
		r.Stages = append(r.Stages, p.stage(i))
	}
	p.fleet.Rollout = r
	if last := r.Stages[len(r.Stages)-1]; last.Percent != 100 || !last.Match.IsZero() {
		p.add(lineOf(p.root, "rollout", "stages", len(r.Stages)-1),
			"rollout: the last stage is the whole fleet: `percent: 100`, without match")
	}
	p.timings()
}

// orOff is a number, or 0 for the word off.
func (p *parser) orOff(name string, from at[string], otherwise float64, valid func(float64) bool, want string) float64 {
	v, err := strconv.ParseFloat(from.value, 64)
	switch {
	case from.line == 0:
		return otherwise
	case from.value == "off":
		return 0
	case err != nil || !valid(v):
		p.add(from.line, "rollout: %s is %s, but must be %s, or off", name, from.value, want)
	}
	return v
}

// evidence reads the statistics that count.
func (p *parser) evidence() (out []StatLimit) {
	for i, e := range p.doc.Rollout.Evidence {
		line := lineOf(p.root, "rollout", "evidence", i)
		number, relative := strings.CutSuffix(e.MaxIncrease.value, "%")
		most, err := strconv.ParseFloat(number, 64)
		switch {
		case strings.TrimSpace(e.Stat.value) == "":
			p.add(line, "rollout: evidence %d has no stat: the full name of a counter or gauge, as `/stats` of an Envoy has it", i+1)
		case slices.ContainsFunc(out, func(s StatLimit) bool { return s.Stat == e.Stat.value }):
			p.add(e.Stat.line, "rollout: evidence of %q is said twice", e.Stat.value)
		case e.MaxIncrease.line == 0:
			p.add(line, "rollout: evidence of %q has no max_increase", e.Stat.value)
		case err != nil || !(most >= 0 && most <= math.MaxFloat32):
			p.add(e.MaxIncrease.line, "rollout: max_increase is %s, but must be a number from 0, or a percentage", e.MaxIncrease.value)
		case relative:
			out = append(out, StatLimit{Stat: e.Stat.value, MaxIncrease: most / 100, Relative: true})
		default:
			out = append(out, StatLimit{Stat: e.Stat.value, MaxIncrease: most})
		}
	}
	return out
}

func (p *parser) stage(i int) Stage {
	doc, line := p.doc.Rollout.Stages[i], lineOf(p.root, "rollout", "stages", i)
	s := Stage{Name: doc.Name, Match: doc.Match, Deadline: p.duration("deadline", doc.Deadline, defaultDeadline)}
	bake := time.Duration(0)
	if i == len(p.doc.Rollout.Stages)-1 {
		bake = lastBake
	}
	s.Bake = p.duration("bake", doc.Bake, bake)
	if s.Name == "" {
		p.add(line, "rollout: stage %d has no name", i+1)
	}
	set(p, &s.Percent, doc.Percent, "percent", func(v float64) bool { return v > 0 && v <= 100 }, "over 0, to 100")
	set(p, &s.Proxies, doc.Proxies, "proxies", func(v int) bool { return v > 0 }, "over 0")
	switch {
	case doc.Percent.line != 0 && doc.Proxies.line != 0:
		p.add(line, "rollout: stage %q says percent and proxies: give one of them", s.Name)
	case doc.Percent.line == 0 && doc.Proxies.line == 0 && s.Match.IsZero():
		p.add(line, "rollout: stage %q does not say how many proxies: `percent`, `proxies` or `match`", s.Name)
	case doc.Percent.line == 0 && doc.Proxies.line == 0:
		s.Percent = 100 // of those that match
	}
	switch doc.Approve.value {
	case "manual":
		s.Manual = true
	case "", "auto":
	default:
		p.add(doc.Approve.line, "rollout: approve: %q is neither auto nor manual", doc.Approve.value)
	}
	return s
}

func (p *parser) duration(name string, d at[time.Duration], otherwise time.Duration) time.Duration {
	set(p, &otherwise, d, name, func(v time.Duration) bool { return v >= 0 && v <= 30*24*time.Hour }, "from 0s to 720h")
	return otherwise
}

// set takes a value over, if the file has it and it is valid.
func set[T any](p *parser, into *T, from at[T], name string, valid func(T) bool, want string) {
	if from.line == 0 {
		return
	}
	if !valid(from.value) {
		p.add(from.line, "rollout: %s is %v, but must be %s", name, from.value, want)
		return
	}
	*into = from.value
}
