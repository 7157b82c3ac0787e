// Package primeauth holds what the filter answers, whichever language it is
// written in: vectors.yaml, which the tests of both read.
package primeauth

import (
	_ "embed" // vectors.yaml
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed vectors.yaml
var text []byte

// Answer is what a client gets.
type Answer struct {
	Status int
	Body   string
}

// A Vector is a request and its answer.
type Vector struct {
	What    string
	Headers [][2]string
	Answer  Answer // to what the filter sees
	Wire    Answer // to what a client sends by HTTP/1.1
}

// A Refusal is a plugin configuration that no filter starts with.
type Refusal struct{ Config, Reason string }

// Vectors reads vectors.yaml, a vector for each of its tokens.
func Vectors() ([]Vector, []Refusal, error) {
	var file struct {
		Vectors []struct {
			What    string
			Headers [][2]string
			Tokens  []string
			Times   int
			Answer  Answer
			Wire    *Answer
		}
		Refused []Refusal
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, nil, fmt.Errorf("vectors.yaml: %w", err)
	}
	var all []Vector
	for _, v := range file.Vectors {
		one := Vector{v.What, v.Headers, v.Answer, v.Answer}
		if v.Wire != nil {
			one.Wire = *v.Wire
		}
		if v.Tokens == nil {
			all = append(all, one)
		}
		for _, token := range v.Tokens {
			one.Headers = [][2]string{{"token", strings.Repeat(token, max(v.Times, 1))}}
			all = append(all, one)
		}
	}
	return all, file.Refused, nil
}
