package preflight

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// An Outcome is what came of one check.
type Outcome struct {
	Line int           // of the check
	Took time.Duration // on this machine's clock
	Err  *Error        // nil where it passed
}

// Coverage is what of a filter its start and its checks have reached.
type Coverage struct {
	// Callbacks are the proxy_on_… that the module exports and that an HTTP filter is called by,
	// in the order of their names.
	Callbacks []Callback `json:"callbacks"`
	// Replies are the statuses that the filter has answered requests with by itself.
	Replies []Reply `json:"replies"`
	// Answers is whether the module can do that: it imports proxy_send_local_response.
	Answers bool `json:"answers"`
}

// A Callback is a function of a module that a proxy calls.
type Callback struct {
	Name    string `json:"name"`
	Reached bool   `json:"reached"`
}

// A Reply is an answer of the filter's own, a local reply to Envoy.
type Reply struct {
	Status  int `json:"status"`
	Checks  int `json:"checks"`  // how many answers to checks had it
	Hostile int `json:"hostile"` // and to hostile requests, which are asked without being told
}

// notes are what a try writes down as it goes. Nil ones are of who does not ask.
type notes struct {
	exported map[string]bool // callbacks, and whether they are reached
	answers  bool
	replies  map[int]*Reply
	outcomes []Outcome
}

// beyondRequests are exports that no request has called: memory is asked for in the middle of
// calls, and the others are of network filters.
var beyondRequests = []string{
	"proxy_on_memory_allocate", "proxy_on_new_connection", "proxy_on_downstream_data", "proxy_on_upstream_data",
	"proxy_on_downstream_connection_close", "proxy_on_upstream_connection_close",
}

func newNotes(m wazero.CompiledModule) *notes {
	n := &notes{exported: map[string]bool{}, replies: map[int]*Reply{}}
	for name := range m.ExportedFunctions() {
		if isCallback(name) && strings.HasPrefix(name, "proxy_on_") && !slices.Contains(beyondRequests, name) {
			n.exported[name] = false
		}
	}
	for _, f := range m.ImportedFunctions() {
		_, name, _ := f.Import()
		n.answers = n.answers || name == "proxy_send_local_response"
	}
	return n
}

// called notes a callback, unless nobody has asked for what it is of.
func (n *notes) called(step Step, name string) {
	if n == nil || step == StepHostile {
		return
	}
	if _, there := n.exported[name]; there {
		n.exported[name] = true
	}
}

// replied notes a local reply.
func (n *notes) replied(step Step, status int) {
	if n == nil {
		return
	}
	reply := n.replies[status]
	if reply == nil {
		reply = &Reply{Status: status}
		n.replies[status] = reply
	}
	if step == StepHostile {
		reply.Hostile++
	} else {
		reply.Checks++
	}
}

// asked notes what came of a check. One that fails in any of the orders in which checks are
// asked has failed; else the first time counts.
func (n *notes) asked(c fleet.Check, took time.Duration, err error) {
	e := (*Error)(nil)
	if n == nil || err != nil && !errors.As(err, &e) {
		return
	}
	at := slices.IndexFunc(n.outcomes, func(o Outcome) bool { return o.Line == c.Line })
	switch {
	case at < 0:
		n.outcomes = append(n.outcomes, Outcome{c.Line, took, e})
	case e != nil:
		n.outcomes[at] = Outcome{c.Line, took, e}
	}
}

// coverage is what was reached.
func (n *notes) coverage() Coverage {
	out := Coverage{Callbacks: []Callback{}, Replies: []Reply{}, Answers: n.answers}
	for _, name := range slices.Sorted(maps.Keys(n.exported)) {
		out.Callbacks = append(out.Callbacks, Callback{name, n.exported[name]})
	}
	for _, reply := range n.replies {
		out.Replies = append(out.Replies, *reply)
	}
	slices.SortFunc(out.Replies, func(a, b Reply) int { return cmp.Compare(a.Status, b.Status) })
	return out
}
