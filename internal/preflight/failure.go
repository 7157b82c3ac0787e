package preflight

import (
	"errors"
	"fmt"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A Step is how far a filter came.
type Step string

// The steps of a try, in their order.
const (
	StepModule    Step = "module"    // is it a Proxy-Wasm module that Envoy can load?
	StepStart     Step = "start"     // does its VM start?
	StepConfigure Step = "configure" // does it take its configuration?
	StepCheck     Step = "check"     // does it answer as the fleet file says?
	StepHostile   Step = "hostile"   // does it stand what nobody thought of?
)

// An Error says why a filter is refused. It never holds a header's value.
type Error struct {
	Filter string
	Step   Step
	Reason string // in a sentence, without what follows
	// Line is the check's line of the fleet file; 0 in the other steps.
	Line int
	// Check is what was asked: "GET /private".
	Check string
	// Expected and Got are the answers, where Reason is that they differ.
	Expected, Got string
	// Log is what the module logged at this step, shortened; values of the checks'
	// headers are replaced.
	Log []string

	// Kept is the file that what was asked is kept in, where somebody has written its Replay.
	Kept string

	steps  []exchange // the requests that did it, at StepHostile
	replay *Replay    // the same, where it comes from another process

	answered bool // the check was answered, and otherwise than expected
	paused   bool // nothing resumes the request: the VM is well
	slow     bool // it ran out of time: that may be the machine's fault
}

func (e *Error) Error() string {
	text := e.Reason
	if e.Check != "" {
		text = e.Check + ": " + text
	}
	if len(e.Log) > 0 {
		text += "; it logged: " + strings.Join(e.Log, " | ")
	}
	switch {
	case e.Kept != "":
		text += "; try it by hand: xds check --replay " + e.Kept
	case e.Step == StepHostile:
		text += "; `xds check` keeps the request in a file, to be tried by hand"
	}
	return text
}

// Answer is what was wrong with a check's answer, without what was asked.
func (e *Error) Answer() string {
	short := *e
	short.Check = ""
	return short.Error()
}

// stopped ends a call from within a host function, for what a module must not do.
type stopped string

func (s stopped) Error() string { return string(s) }

// trapped says in one line what wazero says of a trap in a function, or, without
// one, of a module that can't be instantiated.
func trapped(function string, err error) string {
	if s := stopped(""); errors.As(err, &s) {
		return s.Error()
	}
	text, stack, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	text = strings.TrimSuffix(text, " (recovered by wazero)")
	if _, cause, ok := strings.Cut(text, "wasm error: "); ok {
		text = cause
	}
	if function == "" {
		return "it can't be instantiated: " + text
	}
	out := fmt.Sprintf("%s traps: %s", function, text)
	// In a module that was not stripped functions have names; others only numbers.
	if frame, _, _ := strings.Cut(strings.TrimSpace(stack), "("); frame != "" && !strings.HasPrefix(frame, ".$") && frame != "."+function {
		out += ", in " + strings.TrimPrefix(frame, ".")
	}
	return out
}

// At is the error at its line of a fleet file: that of the check, else that of
// the filter's module.
func (e *Error) At(f *fleet.Fleet, filter fleet.Filter) *fleet.Error {
	at := &fleet.Error{File: f.File, Line: e.Line, Msg: fmt.Sprintf("filter %q: %v", filter.Name, e)}
	switch e.Step {
	case StepCheck:
	case StepModule:
		at.Line, at.Msg = filter.ModuleLine, fmt.Sprintf("module %s: %v", filter.Module, e)
	case StepStart, StepConfigure, StepHostile:
		at.Line = filter.ModuleLine
	}
	return at
}
