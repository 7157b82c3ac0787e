package preflight

import (
	"encoding/json"
	"fmt"
)

// errorDocument is an Error between processes.
type errorDocument struct {
	Filter   string   `json:"filter,omitempty"`
	Step     Step     `json:"step"`
	Reason   string   `json:"reason"`
	Line     int      `json:"line,omitempty"`
	Check    string   `json:"check,omitempty"`
	Expected string   `json:"expected,omitempty"`
	Got      string   `json:"got,omitempty"`
	Log      []string `json:"log,omitempty"`
	Replay   []byte   `json:"replay,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (e *Error) MarshalJSON() ([]byte, error) {
	doc := errorDocument{Filter: e.Filter, Step: e.Step, Reason: e.Reason, Line: e.Line, Check: e.Check, Expected: e.Expected, Got: e.Got, Log: e.Log}
	if r := e.Replay(); r != nil {
		text, err := r.Text()
		if err != nil {
			return nil, err
		}
		doc.Replay = text
	}
	return json.Marshal(doc)
}

// UnmarshalJSON implements json.Unmarshaler. It may come from a process that a module has taken over: what is in it
// is bounded again.
func (e *Error) UnmarshalJSON(data []byte) error {
	var doc errorDocument
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	*e = Error{Filter: doc.Filter, Step: doc.Step, Reason: doc.Reason, Line: doc.Line, Check: printed(doc.Check, maxReason), Expected: doc.Expected, Got: doc.Got}
	switch e.Step {
	case StepModule, StepStart, StepConfigure, StepCheck, StepHostile:
	default:
		return fmt.Errorf("no step of a try: %.20q", doc.Step)
	}
	for _, line := range doc.Log[:min(len(doc.Log), logLines+2)] {
		e.Log = append(e.Log, printed(line, lineBytes))
	}
	e.bound()
	if doc.Replay == nil {
		return nil
	}
	var err error
	if e.replay, err = ReadReplay(doc.Replay); err != nil {
		return fmt.Errorf("what is to be replayed: %w", err)
	}
	return nil
}

// Died is the refusal of a filter whose sandbox did not live through it.
func Died(filter, why string) *Error {
	e := &Error{Filter: filter, Step: StepStart, Reason: why}
	e.bound()
	return e
}
