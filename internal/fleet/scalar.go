package fleet

import (
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A scalar is a YAML scalar as Envoy's loader reads it, which goes by the YAML of 2004
// and not by the YAML library: `yes`, `on` and `n` are booleans, 010 is eight, and what
// has a fraction or does not fit 32 bits stays the text that it is, for whoever reads
// the message to make a number of it. Proven on Envoys by e2e/loader_test.go.
type scalar struct {
	kind scalarKind
	bool bool
	num  int32
	text string // as it is written
}

type scalarKind int

const (
	scalarNull scalarKind = iota
	scalarBool
	scalarNumber
	scalarText
)

// scalarOf reads a scalar node. What is quoted, and has no tag, is text.
func scalarOf(n *yaml.Node) scalar {
	s := scalar{kind: scalarText, text: n.Value}
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	tagged := n.Style&yaml.TaggedStyle != 0
	if n.Style&quoted != 0 && !tagged {
		return s
	}
	if !tagged && isNull(n.Value) {
		s.kind = scalarNull
		return s
	}
	if b, ok := yamlBool(n.Value); ok {
		s.kind, s.bool = scalarBool, b
		return s
	}
	// Base 0 reads 0x10 and 010 as C does, but also 0b1, 0o1 and 1_0, which C does not.
	i, err := strconv.ParseInt(n.Value, 0, 64)
	if err != nil || strings.ContainsAny(n.Value, "_oO") || isBinary(n.Value) {
		return s
	}
	if i < math.MinInt32 || i > math.MaxInt32 {
		s.text = strconv.FormatInt(i, 10)
		return s
	}
	s.kind, s.num = scalarNumber, int32(i)
	return s
}

func isNull(text string) bool {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

func isBinary(text string) bool {
	text = strings.TrimLeft(text, "+-")
	return strings.HasPrefix(text, "0b") || strings.HasPrefix(text, "0B")
}

// yamlBool reads a boolean in lower case, upper case, or with a capital.
func yamlBool(text string) (value, ok bool) {
	if lower := strings.ToLower(text); text != lower && text != strings.ToUpper(text) && text != strings.ToUpper(text[:1])+lower[1:] {
		return false, false
	}
	switch strings.ToLower(text) {
	case "y", "yes", "true", "on":
		return true, true
	case "n", "no", "false", "off":
		return false, true
	}
	return false, false
}
