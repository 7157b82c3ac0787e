package fleet

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Hostile says how the requests count that preflight asks a filter without being told.
type Hostile struct {
	Off   bool     `json:"off,omitempty"`   // none is asked
	Warn  bool     `json:"warn,omitempty"`  // what fails is said, and no refusal
	Leave []string `json:"leave,omitempty"` // kinds that are left out, of HostileKinds
}

// HostileKinds are the kinds of these requests.
var HostileKinds = []string{
	"not-utf8", "header-twice", "empty-header", "many-headers", "long-header", "no-usual-headers", "empty-query", "odd-path",
	"odd-method", "early-end", "body", "body-in-pieces", "large-body", "empty-body", "trailers", "grpc", "odd-response",
	"upstream-reset", "gone", "interleaved",
}

// isOff is whether a value is the word, for which YAML 1.1 has false.
func isOff(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (strings.EqualFold(n.Value, "off") || n.Value == "false")
}

// hostile reads a filter's `hostile`: off, warn, or a list of kinds to leave out.
func (p *parser) hostile(n *yaml.Node) Hostile {
	var h Hostile
	switch n = resolve(n); {
	case n.IsZero():
	case isOff(n):
		h.Off = true
	case n.Kind == yaml.ScalarNode && n.Value == "warn":
		h.Warn = true
	case n.Kind == yaml.SequenceNode:
		for _, kind := range n.Content {
			if !slices.Contains(HostileKinds, kind.Value) {
				p.add(kind.Line, "hostile: %q is none of %s", kind.Value, strings.Join(HostileKinds, ", "))
			}
			h.Leave = append(h.Leave, kind.Value)
		}
	default:
		p.add(n.Line, "hostile: is off, warn, or a list of the kinds of requests to leave out")
	}
	return h
}
