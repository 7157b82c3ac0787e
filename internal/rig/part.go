package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/waxwing-xds/waxwing/internal/process"
)

// A Part is this program once more, in a process of its own, which does as it is told:
// commands and answers are lines of JSON.
type Part struct {
	*process.Process

	in  *json.Encoder
	out *json.Decoder
}

// reply is an answer, or why there is none.
type reply[A any] struct {
	Err    string `json:"err,omitempty"`
	Answer A      `json:"answer"`
}

// StartPart runs one with arguments that have it call Obey. It ends with the context.
func StartPart(ctx context.Context, args ...string) (*Part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	p, err := process.Start(cmd, "")
	return &Part{p, json.NewEncoder(in), json.NewDecoder(out)}, err
}

// Tell gives a part a command, and waits for its answer.
func Tell[A, C any](p *Part, command C) (A, error) {
	var r reply[A]
	if err := p.in.Encode(command); err != nil {
		return r.Answer, fmt.Errorf("telling %+v: %w", command, err)
	}
	if err := p.out.Decode(&r); err != nil {
		return r.Answer, fmt.Errorf("no answer to %+v: %w", command, err)
	}
	if r.Err != "" {
		return r.Answer, fmt.Errorf("%+v: %s", command, r.Err)
	}
	return r.Answer, nil
}

// Obey carries out the commands that come in until there are no more.
func Obey[C, A any](handle func(C) (A, error)) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c C
		switch err := in.Decode(&c); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		answer, err := handle(c)
		r := reply[A]{Answer: answer}
		if err != nil {
			r.Err = err.Error()
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}
