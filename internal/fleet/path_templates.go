package fleet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What a path template may have. Envoy 1.40 takes more than releases before it, so that this
// is held against its answers (e2e/testdata/refusals_templates.txt), as it was to nine hundred
// random templates when it was written.
const (
	mostVariables = 5
	longestName   = 16
)

var (
	templatePath    = regexp.MustCompile(`^/[!-~]*$`)
	templateLiteral = regexp.MustCompile(`^[a-zA-Z0-9\-._~%!$&'()+,;:@=*]+$`)
	rewriteLiteral  = regexp.MustCompile(`^[a-zA-Z0-9\-._~%!$&'()+,;:@=*/]+$`)
	templateName    = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)
)

// A pathTemplate is read part by part.
type pathTemplate struct {
	rest      string
	variables []string
	open      bool // a ** was there, after which no other wildcard may be
}

// templateVariables reads a template of a path, and returns the names of its variables.
func templateVariables(text string) ([]string, error) {
	if !templatePath.MatchString(text) {
		return nil, fmt.Errorf("%q does not begin with a slash, or has a space or other characters that no URL has", text)
	}
	t := pathTemplate{rest: text[1:]}
	for t.rest != "" {
		if err := t.segment(); err != nil {
			return nil, err
		}
		if t.rest == "/" { // at the end
			break
		}
		t.rest = strings.TrimPrefix(t.rest, "/")
	}
	return t.variables, nil
}

// segment takes what stands between two slashes; a variable may have slashes within.
func (t *pathTemplate) segment() error {
	whole, _, _ := strings.Cut(t.rest, "/")
	switch {
	case t.rest[0] == '*':
		return t.alone()
	case t.rest[0] != '{' && (!strings.Contains(whole, "{") || !strings.Contains(whole, "}")):
		return literal(&t.rest)
	}
	before, after, _ := strings.Cut(t.rest, "{")
	if before != "" && !templateLiteral.MatchString(before) {
		return fmt.Errorf("%q can't be before a variable", before)
	}
	inner, rest, closed := strings.Cut(after, "}")
	if !closed {
		return fmt.Errorf("%q has no closing bracket", t.rest)
	}
	if t.rest = rest; rest != "" && rest[0] != '/' {
		if err := literal(&t.rest); err != nil {
			return fmt.Errorf("after a variable: %w", err)
		}
	}
	return t.variable(inner)
}

// alone takes a wildcard that a segment begins with. Only in the last one may something come
// after it.
func (t *pathTemplate) alone() error {
	if err := t.wildcard(&t.rest); err != nil || t.rest == "" || t.rest[0] == '/' {
		return err
	}
	suffix := t.rest
	if err := literal(&t.rest); err != nil {
		return err
	}
	if t.rest != "" {
		return fmt.Errorf("a wildcard has what comes after it, like *.html, only at the end: %q", suffix)
	}
	return nil
}

func (t *pathTemplate) wildcard(text *string) error {
	if t.open {
		return fmt.Errorf("after ** there can be no other wildcard: %q", *text)
	}
	*text, t.open = strings.CutPrefix(*text, "**")
	if !t.open {
		*text = (*text)[1:]
	}
	return nil
}

// literal takes a text up to the next slash.
func literal(text *string) error {
	part, _, _ := strings.Cut(*text, "/")
	if *text = (*text)[len(part):]; !templateLiteral.MatchString(part) {
		return fmt.Errorf("%q can't be a part of a path here", part)
	}
	return nil
}

func (t *pathTemplate) variable(inner string) error {
	name, pattern, given := strings.Cut(inner, "=")
	switch {
	case !templateName.MatchString(name) || len(name) > longestName:
		return fmt.Errorf("%q is no name of a variable: letters, digits and _, %d at most, and a letter first", name, longestName)
	case slices.Contains(t.variables, name):
		return fmt.Errorf("the variable %q is given twice", name)
	case len(t.variables) == mostVariables:
		return fmt.Errorf("there are more than %d variables", mostVariables)
	case given && pattern == "":
		return fmt.Errorf("the variable %q matches nothing: give it a pattern, or leave the = out", name)
	case !given:
		pattern = "*"
	}
	t.variables = append(t.variables, name)
	return t.pattern(name, pattern)
}

// pattern is what a variable matches.
func (t *pathTemplate) pattern(name, pattern string) error {
	for rest := pattern; rest != ""; {
		take := literal
		if rest[0] == '*' {
			take = t.wildcard
		}
		if err := take(&rest); err != nil {
			return fmt.Errorf("the variable %q: %w", name, err)
		}
		if rest != "" && (rest[0] != '/' || rest == "/") {
			return fmt.Errorf("the variable %q can't match %q", name, pattern)
		}
		rest = strings.TrimPrefix(rest, "/")
	}
	return nil
}

// rewriteVariables reads a template by which a path is written, and returns what it names.
func rewriteVariables(text string) (names []string, err error) {
	switch {
	case !strings.HasPrefix(text, "/"):
		return nil, fmt.Errorf("%q does not begin with a slash", text)
	case strings.Contains(text, "//"):
		return nil, fmt.Errorf("%q has two slashes in a row", text)
	}
	for text != "" {
		before, after, more := strings.Cut(text, "{")
		if before != "" && !rewriteLiteral.MatchString(before) {
			return nil, fmt.Errorf("%q can't be a part of a path here", before)
		}
		if !more {
			break
		}
		name, rest, closed := strings.Cut(after, "}")
		switch {
		case !closed:
			return nil, fmt.Errorf("%q has no closing bracket", "{"+after)
		case !templateName.MatchString(name):
			return nil, fmt.Errorf("%q is no name of a variable", name)
		}
		names, text = append(names, name), rest
	}
	return names, nil
}
