package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// An Error is one thing wrong with a fleet file, at a line counted from 1;
// line 0 stands for the file as a whole.
type Error struct {
	File string
	Line int
	Msg  string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// Errors is everything wrong with a fleet file, in the order of its lines.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// problems collects errors while a file is read.
type problems struct {
	file string
	list Errors
}

func (p *problems) add(line int, format string, args ...any) {
	p.list = append(p.list, &Error{File: p.file, Line: line, Msg: fmt.Sprintf(format, args...)})
}

// err returns what was collected, sorted by line and without repeats, or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return slices.CompactFunc(p.list, func(a, b *Error) bool { return *a == *b })
}

var (
	yamlLine     = regexp.MustCompile(`(?s)(?:^|\s)(?:yaml: )?line (\d+): (.*)`)
	unknownField = regexp.MustCompile(`(?s)^field (.+?) not found in type .*$`)
	wrongType    = regexp.MustCompile("(?s)^cannot unmarshal (!!\\w+)(?: `(.*)`)? into .*$")
)

// addYAML takes over an error of the YAML library: a syntax error, or a list of
// what does not fit the document's structure, each "line N: …". Of the keys
// that are to be ignored it knows nothing.
func (p *problems) addYAML(err error, ignored map[int]bool) {
	texts := []string{err.Error()}
	if several := (*yaml.TypeError)(nil); errors.As(err, &several) {
		texts = several.Errors // a name may have lines of its own
	}
	for _, text := range texts {
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			line, _ := strconv.Atoi(m[1]) // the pattern allows digits only
			if !ignored[line] {
				p.add(line, "%s", plainYAML(m[2]))
			}
		} else {
			p.add(0, "%s", strings.TrimPrefix(text, "yaml: "))
		}
	}
}

// plainYAML says in a user's words what the library says in Go's.
func plainYAML(msg string) string {
	if m := unknownField.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("unknown field %q", m[1])
	}
	if m := wrongType.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("a %s does not belong here", yamlKinds[m[1]])
	}
	return strings.Join(strings.Fields(msg), " ")
}

var yamlKinds = map[string]string{
	"!!map": "mapping", "!!seq": "list", "!!str": "string", "!!int": "number",
	"!!float": "number", "!!bool": "boolean", "!!null": "null",
}

// addNode takes over an error of toJSON.
func (p *problems) addNode(n *yaml.Node, err error) {
	line := n.Line
	if at := (*nodeError)(nil); errors.As(err, &at) {
		line = at.line
	}
	p.add(line, "%v", err)
}
