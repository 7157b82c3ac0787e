package fleet

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A looseJSON is read as protobuf's C++ reads JSON, by which Envoy reads sets of keys: names
// may be bare, texts in single quotes, a comma may be after the last of a list, and control
// characters are taken. No name may be given twice.
// (protobuf: src/google/protobuf/json/internal/lexer.cc, with allow_legacy_syntax.)
type looseJSON struct {
	rest  string
	depth int
}

// errJSON does not say what is there: that may be a secret.
var errJSON = errors.New("it is no JSON")

// deepestJSON is deeper than what is taken, which is 100 in one way of counting.
const deepestJSON = 150

// looseObject reads an object, and nothing after it. Lists are []any, objects map[string]any.
func looseObject(text string) (map[string]any, error) {
	r := looseJSON{rest: text}
	if !utf8.ValidString(text) || r.next() != '{' {
		return nil, errJSON
	}
	out, err := r.value()
	if err == nil && r.next() != 0 {
		err = errJSON
	}
	object, _ := out.(map[string]any)
	return object, err
}

// next is the first character that is no space, 0 at the end.
func (r *looseJSON) next() byte {
	if r.rest = strings.TrimLeft(r.rest, " \t\r\n"); r.rest == "" {
		return 0
	}
	return r.rest[0]
}

func (r *looseJSON) take(c byte) bool {
	if r.next() != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

var looseNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`)

func (r *looseJSON) value() (any, error) {
	switch c := r.next(); c {
	case '{', '[':
		if r.depth++; r.depth > deepestJSON {
			return nil, errJSON
		}
		defer func() { r.depth-- }()
		if c == '[' {
			return r.list()
		}
		return r.object()
	case '"', '\'':
		return r.text()
	}
	for name, value := range map[string]any{"true": true, "false": false, "null": nil} {
		if rest, ok := strings.CutPrefix(r.rest, name); ok {
			r.rest = rest
			return value, nil
		}
	}
	number := looseNumber.FindString(r.rest)
	r.rest = r.rest[len(number):]
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return nil, errJSON
	}
	return value, nil
}

func (r *looseJSON) list() (any, error) {
	out := []any{}
	r.take('[')
	for comma := true; !r.take(']'); comma = r.take(',') {
		if !comma || len(out) == 0 && r.next() == ',' {
			return nil, errJSON
		}
		one, err := r.value()
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (r *looseJSON) object() (any, error) {
	out := map[string]any{}
	r.take('{')
	for comma := true; !r.take('}'); comma = r.take(',') {
		if !comma {
			return nil, errJSON
		}
		name, err := r.name()
		if err != nil {
			return nil, err
		}
		if _, twice := out[name]; twice || !r.take(':') {
			return nil, errJSON
		}
		if out[name], err = r.value(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

var bareName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)

func (r *looseJSON) name() (string, error) {
	if c := r.next(); c == '"' || c == '\'' {
		return r.text()
	}
	name := bareName.FindString(r.rest)
	r.rest = r.rest[len(name):]
	switch name {
	case "", "true", "false", "null":
		return "", errJSON
	}
	return name, nil
}

// text reads one in quotes of either kind.
func (r *looseJSON) text() (string, error) {
	quote := r.rest[:1]
	var out strings.Builder
	for r.rest = r.rest[1:]; ; {
		end := strings.IndexAny(r.rest, quote+`\`)
		if end < 0 {
			return "", errJSON
		}
		out.WriteString(r.rest[:end])
		closed := r.rest[end] == quote[0]
		if r.rest = r.rest[end+1:]; closed {
			return out.String(), nil
		}
		c, ok := r.escaped()
		if !ok {
			return "", errJSON
		}
		out.WriteRune(c)
	}
}

// escaped is what a backslash stands before.
func (r *looseJSON) escaped() (rune, bool) {
	if r.rest == "" {
		return 0, false
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	if c != 'u' {
		i := strings.IndexByte(`"\/bfnrt'`, c)
		return rune("\"\\/\b\f\n\r\t'"[max(i, 0)]), i >= 0
	}
	first, ok := r.unit()
	if !ok || !utf16.IsSurrogate(first) {
		return first, ok
	}
	rest, paired := strings.CutPrefix(r.rest, `\u`)
	r.rest = rest
	second, ok := r.unit()
	both := utf16.DecodeRune(first, second)
	return both, paired && ok && both != utf8.RuneError
}

// unit is four hexadecimal digits.
func (r *looseJSON) unit() (rune, bool) {
	if len(r.rest) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(r.rest[:4], 16, 16)
	r.rest = r.rest[4:]
	return rune(n), err == nil
}
