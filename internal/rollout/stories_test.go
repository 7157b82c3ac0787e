package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// story is a fleet, its clock and the plan of what is offered next.
type story struct {
	t    *testing.T
	f    *Fleet
	now  time.Time
	plan Plan
	hung map[string]bool // proxies that are not heard
}

func defaultPlan() Plan {
	return Plan{
		Stages: []Stage{
			{Name: "canary", Proxies: 1, Bake: 10 * time.Second, Deadline: time.Minute},
			{Name: "all", Percent: 100, Deadline: time.Minute},
		},
		Prove: time.Second, Shadow: true, ShadowChecks: true, LiveChecks: true,
		Limits: Limits{Errors: 0.05, MinRequests: 20, Disconnects: 3, Troubled: 0.1},
	}
}

// Each file of testdata is a story: what happens, and what the fleet does about
// it. `go test ./internal/rollout -rewrite` writes the answers anew.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &story{t: t, f: &Fleet{}, now: epoch, plan: defaultPlan()}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			return s.tell(d)
		})
	})
}

func (s *story) tell(d *datadriven.TestData) string {
	if text, shown := s.shows(d.Cmd); shown {
		return text
	}
	switch d.Cmd {
	case "plan":
		s.plan = planOf(s.t, d)
		return ""
	case "hang", "wake":
		if s.hung == nil {
			s.hung = map[string]bool{}
		}
		s.hung[d.CmdArgs[0].Key] = d.Cmd == "hang"
		return ""
	case "restart":
		return restart(s.t, s.f)
	case "keep":
		s.f.Keep = s.number(d)
		return ""
	case "serves": // without the way to it
		s.f.Step(Offered{ID: d.CmdArgs[0].Key, Plan: s.plan}, s.now)
		s.f.Step(Stored{d.CmdArgs[0].Key}, s.now)
		for range 2 {
			for _, node := range s.nodes() {
				a := s.f.Target(node)
				s.f.Step(Served{Node: node, Live: a.Live, Shadow: a.Shadow}, s.now)
			}
		}
		return ""
	case "wait":
		return s.wait(d)
	}
	var out strings.Builder
	for _, effect := range s.f.Step(s.event(d), s.now) {
		fmt.Fprintln(&out, describe(effect))
	}
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

// shows is what there is, for the commands that only look.
func (s *story) shows(what string) (text string, shown bool) {
	var out strings.Builder
	switch what {
	case "targets":
		return s.targets(), true
	case "rejected":
		for _, r := range s.f.Rejected {
			fmt.Fprintf(&out, "%s: %s %s\n", r.ID, r.Node, r.Reason)
		}
	case "history":
		for _, e := range s.f.History {
			fmt.Fprintf(&out, "%6s %s\n", e.At.Sub(epoch), describe(Tell{e}))
		}
	case "kept":
		for _, r := range s.f.Kept() {
			fmt.Fprintf(&out, "%d (%s)\n", r.Number, r.ID)
		}
		fmt.Fprintf(&out, "serving %d (%s), before it %d (%s)\n", s.f.Serving.Number, s.f.Serving.ID, s.f.Previous.Number, s.f.Previous.ID)
	case "degraded":
		out.WriteString("no\n")
		if w := s.f.Watch; w != nil && w.Degraded != nil {
			return fmt.Sprintf("%s, %s: %s\n", w.Degraded.Node, w.Degraded.Evidence, w.Degraded.Reason), true
		}
	case "holdup":
		if h := s.f.HoldUp(s.now); h != nil {
			return h.Text + "\n", true
		}
		if h := s.f.Between(s.now); h != nil {
			return "between: " + h.Text + "\n", true
		}
		out.WriteString("none\n")
	default:
		return "", false
	}
	return out.String(), true
}

// wait lets time pass, a tick each 200 ms; the checks of all proxies hold
// meanwhile if it says so: "wait 3s passing"; with "reporting" they send their counters, too.
func (s *story) wait(d *datadriven.TestData) string {
	var out strings.Builder
	length, err := time.ParseDuration(d.CmdArgs[0].Key)
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	passing := len(d.CmdArgs) > 1
	for end := s.now.Add(length); s.now.Before(end); {
		s.now = s.now.Add(tickEvery)
		events := []Event{Tick{}}
		for _, node := range s.nodes() {
			if a := s.f.Target(node); passing && a.Probe != ProbeNone && !s.hung[node] {
				events = append(events, Probed{Node: node, Of: a.Of, Probe: a.Probe, Passed: true})
			}
			if d.HasArg("reporting") && !s.hung[node] && s.now.Sub(epoch)%time.Second == 0 {
				events = append(events, Counted{Node: node, Counters: Counters{At: s.now}})
			}
		}
		for _, e := range events {
			for _, effect := range s.f.Step(e, s.now) {
				fmt.Fprintf(&out, "%6s %s\n", s.now.Sub(epoch), describe(effect))
			}
		}
	}
	return out.String()
}

func (s *story) nodes() []string {
	var out []string
	for node := range s.f.proxies {
		out = append(out, node)
	}
	slices.Sort(out)
	return out
}

func (s *story) targets() string {
	var out strings.Builder
	for _, node := range s.nodes() {
		a := s.f.Target(node)
		phase, _ := s.f.PhaseOf(node)
		fmt.Fprintf(&out, "%s: live=%s shadow=%s probe=%s phase=%s\n", node, a.Live, a.Shadow, a.Probe, phase)
	}
	return out.String()
}

// event reads a command: "offer ID", "join NODE [fresh]", "serve NODE", …
func (s *story) event(d *datadriven.TestData) Event {
	arg := ""
	if len(d.CmdArgs) > 0 {
		arg = d.CmdArgs[0].Key
	}
	if e := s.proxyEvent(d, arg); e != nil {
		return e
	}
	switch d.Cmd {
	case "offer":
		o := Offered{ID: arg, Plan: s.plan, Staged: d.HasArg("staged")}
		for _, a := range d.CmdArgs[1:] { // what is another with the same revision
			if a.Key != "staged" {
				o.Changed = append(o.Changed, a.Key)
			}
		}
		return o
	case "no-file":
		return Fileless{Is: true, Until: s.now.Add(30 * time.Second)}
	case "file":
		return Fileless{}
	case "store":
		return Stored{arg}
	case "move":
		return Offered{ID: s.f.Serving.ID, Plan: s.plan, Move: true}
	case "undo-to":
		return Command{Verb: Undo, By: "alice", Why: d.Input, To: s.number(d)}
	case "skip-empty":
		return Command{Verb: Promote, By: "alice", Why: d.Input, SkipEmpty: true}
	}
	return Command{Verb: Verb(d.Cmd), By: "alice", Why: d.Input}
}

// proxyEvent reads one of a proxy: nil where it is none.
func (s *story) proxyEvent(d *datadriven.TestData, arg string) Event {
	switch d.Cmd {
	case "join":
		j := Joined{Node: arg, Attributes: map[string]string{"id": arg}, Health: !d.HasArg("no-health"), Fresh: d.HasArg("fresh"), Own: d.HasArg("own")}
		if d.HasArg("track") {
			var track string
			d.ScanArgs(s.t, "track", &track)
			j.Attributes["label.track"] = track
		}
		if d.HasArg("base") {
			d.ScanArgs(s.t, "base", &j.Base)
		}
		return j
	case "health":
		return Health{Node: arg, Open: !d.HasArg("closed")}
	case "leave":
		return Left{Node: arg, Moved: d.HasArg("moved")}
	case "serve": // all that it was given
		a, unasked := s.f.Target(arg), ""
		if d.HasArg("client") {
			unasked = "it is no Envoy, and asks for 4 resources by name"
		}
		return Served{Node: arg, Live: a.Live, Shadow: a.Shadow, Unasked: unasked}
	case "refuse":
		a := s.f.Target(arg)
		return Refused{Node: arg, Live: a.Live, Shadow: a.Shadow, Reason: "it does not load"}
	case "trouble":
		a := s.f.Target(arg)
		return Troubled{Node: arg, Live: a.Live, Shadow: a.Shadow, Reason: "cannot bind '127.0.0.1:18000': Address already in use", Whole: d.HasArg("whole")}
	case "clock":
		if !d.HasArg("wrong") {
			return Clock{Node: arg}
		}
		return Clock{Node: arg, Of: d.CmdArgs[2].Key, Reason: "its clock is 400 days behind the server's"}
	case "pass", "fail":
		a := s.f.Target(arg)
		return Probed{Node: arg, Of: a.Of, Probe: a.Probe, Passed: d.Cmd == "pass", Failed: "check #1 (UNHEALTHY)", Checks: s.plan.Checks, Unsure: d.HasArg("unsure"), Wrong: s.wrong(d), Before: s.before(d)}
	case "hush": // one of two processes is not heard since now, while the other is
		return Hushed{Node: arg, Since: s.now, Peer: "127.0.0.1:40004", Of: 2}
	case "all-heard":
		of := 2
		if d.HasArg("gone") {
			of = 1
		}
		return Hushed{Node: arg, Of: of}
	case "count":
		return Counted{Node: arg, Counters: s.counters(d)}
	}
	return nil
}

// wrong is what check #1 was answered, where it is said: "fail a answered=403 authz" by a service,
// or the filter authz beside those of the revision, which "new" says is new with it.
func (s *story) wrong(d *datadriven.TestData) []CheckAnswer {
	if !d.HasArg("answered") {
		return nil
	}
	a := CheckAnswer{Check: "#1", Want: 200, Passes: true, New: d.HasArg("new"), Old: d.HasArg("old")}
	d.ScanArgs(s.t, "answered", &a.Status)
	if d.HasArg("authz") {
		a.By = `HTTP filter "authz"`
	}
	return []CheckAnswer{a}
}

// before is what check #1 was answered by what is served: "pass a before=200".
func (s *story) before(d *datadriven.TestData) []CheckAnswer {
	if !d.HasArg("before") {
		return nil
	}
	a := CheckAnswer{Check: "#1", Want: 200, Passes: true}
	d.ScanArgs(s.t, "before", &a.Status)
	return []CheckAnswer{a}
}

func (s *story) number(d *datadriven.TestData) int {
	n, err := strconv.Atoi(d.CmdArgs[0].Key)
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	return n
}

func (s *story) counters(d *datadriven.TestData) Counters {
	if !d.HasArg("too") { // in the same second
		s.now = s.now.Add(time.Second)
	}
	c := Counters{At: s.now}
	began := false
	for _, a := range d.CmdArgs[1:] {
		if a.Key == "too" {
			continue
		}
		n, err := strconv.Atoi(a.Vals[0])
		if err != nil {
			d.Fatalf(s.t, "%v", err)
		}
		switch a.Key {
		case "requests":
			c.Requests = uint64(n)
			if !began {
				c.Begun = c.Requests
			}
		case "begun":
			c.Begun, began = uint64(n), true
		case "denials":
			c.Denials = int64(n)
		case "active":
			c.Active = n
		case "errors":
			c.Errors = uint64(n)
		case "vms":
			c.VMs, c.WantVMs = n, 4
		case "warming":
			c.Warming = n
		case "crashes":
			c.Crashes = uint64(n)
		case "filtered":
			c.Filtered = uint64(n)
		case "service":
			c.ServiceErrors = uint64(n)
		}
	}
	return c
}

// planOf reads stages, one a line: "canary proxies=1 bake=10s".
func planOf(t *testing.T, d *datadriven.TestData) Plan {
	plan := defaultPlan()
	plan.Stages = nil
	for line := range strings.SplitSeq(d.Input, "\n") {
		words := strings.Fields(line)
		st := Stage{Name: words[0], Deadline: time.Minute}
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			var err error
			switch key {
			case "proxies":
				st.Proxies, err = strconv.Atoi(value)
			case "percent":
				st.Percent, err = strconv.ParseFloat(value, 64)
			case "bake":
				st.Bake, err = time.ParseDuration(value)
			case "track":
				st.Match = map[string]string{"label.track": value}
			case "manual":
				st.Manual = true
			case "others":
				plan.AsksOthers = true
			case "check":
				plan.Checks = append(plan.Checks, value)
			case "errors":
				plan.Limits.Errors, err = strconv.ParseFloat(value, 64)
			case "answers":
				plan.Limits.Answers, err = strconv.ParseFloat(value, 64)
			case "deadline":
				st.Deadline, err = time.ParseDuration(value)
			case "no-checks":
				plan.ShadowChecks, plan.LiveChecks = false, false
			case "watch":
				plan.Watch, err = time.ParseDuration(value)
			case "on-evidence":
				plan.OnEvidence = value
			case "fail-open":
				plan.FailOpen = true
			case "no-shadow":
				plan.Shadow, plan.ShadowChecks = false, false
			default:
				t.Fatalf("unknown word %q", word)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		plan.Stages = append(plan.Stages, st)
	}
	return plan
}

func describe(e Effect) string {
	switch e := e.(type) {
	case Store:
		return "store"
	case Retarget:
		return "retarget all"
	case Assign:
		return "assign " + e.Node
	case Again:
		return "send again what it could not take: " + e.Node
	case Offer:
		return "build what is on disk"
	case Adopted:
		return "of this fleet now: " + strings.Join(e.Nodes, " ")
	case LeftBehind:
		return fmt.Sprintf("left behind %s: %s", strings.Join(e.Nodes, " "), e.Reason)
	case NotAdopted:
		return "stay as they were: " + strings.Join(e.Nodes, " ")
	case MoveAgain:
		return "moves here are tried again"
	case Answer:
		return "answer: " + strconv.Quote(e.Refusal)
	case Tell:
		text := fmt.Sprintf("tell: revision %d (%s) %s", e.Revision.Number, e.Revision.ID, e.Kind)
		for _, part := range []struct{ name, value string }{{"stage", e.Stage}, {"node", e.Node}, {"by", e.By}} {
			if part.value != "" {
				text += ", " + part.name + " " + part.value
			}
		}
		if e.Reason != "" {
			text += ": " + e.Reason
		}
		return text
	}
	return fmt.Sprintf("%#v", e)
}

// restart keeps of a fleet what a restart of the server keeps.
func restart(t *testing.T, f *Fleet) string {
	t.Helper()
	saved, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	*f = Fleet{}
	if err := json.Unmarshal(saved, f); err != nil {
		t.Fatal(err)
	}
	return ""
}
