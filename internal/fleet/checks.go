package fleet

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Check is a request with a known answer. It is asked of a filter in the
// preflight sandbox, and of every proxy through its listeners. It is saved with
// the revision: see snapshot.Format.
type Check struct {
	Line    int      `json:"line"`   // of the fleet file
	Method  string   `json:"method"` // "GET" where the file says nothing
	Path    string   `json:"path"`   // "/" where the file says nothing
	Host    string   `json:"host"`   // the :authority, "waxwing.check" where the file says nothing
	Headers []Header `json:"headers,omitempty"`
	// Status is the answer's status, 100 to 599.
	Status int `json:"status"`
	// Upstream is what the service answers if the filters let the request pass,
	// 200 where the file says nothing: where there is no service (in the sandbox,
	// in a shadow listener), this is answered instead.
	Upstream int `json:"upstream"`
}

// A Header is one header of a request. Its value may be a secret: it is not logged.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// DefaultCheck is one of which nothing is said but what it expects.
func DefaultCheck(status int) Check {
	return Check{Method: http.MethodGet, Path: "/", Host: "waxwing.check", Status: status, Upstream: http.StatusOK}
}

type checkDocument struct {
	Request struct {
		Method  at[string] `yaml:"method"`
		Path    at[string] `yaml:"path"`
		Host    string     `yaml:"host"`
		Headers yaml.Node  `yaml:"headers"`
	} `yaml:"request"`
	Expect struct {
		Status at[int] `yaml:"status"`
	} `yaml:"expect"`
	Upstream struct {
		Status at[int] `yaml:"status"`
	} `yaml:"upstream"`
}

var (
	headerName  = regexp.MustCompile("^[a-z0-9!#$%&'*+.^_`|~-]+$")
	headerValue = regexp.MustCompile(`^[^\x00-\x08\x0a-\x1f\x7f]*$`)
	methodName  = regexp.MustCompile(`^[A-Z]+$`)
)

func asksBy(method string) bool {
	return methodName.MatchString(method) && method != http.MethodConnect
}

func settable(header string) bool { return headerName.MatchString(header) && header != "host" }

func isAnswer(status int) bool { return status >= 200 && status <= 599 }

// CheckOf is a check as one writes it on a command line: `POST /path name:value name:value`.
func CheckOf(request string, status int) (Check, error) {
	c := DefaultCheck(status)
	words := strings.Fields(request)
	if len(words) > 0 && !strings.HasPrefix(words[0], "/") && !strings.Contains(words[0], ":") {
		c.Method, words = words[0], words[1:]
	}
	if len(words) > 0 && strings.HasPrefix(words[0], "/") {
		c.Path, words = words[0], words[1:]
	}
	for _, word := range words {
		name, value, ok := strings.Cut(word, ":")
		if name = strings.ToLower(name); !ok || !settable(name) || !headerValue.MatchString(value) {
			return c, fmt.Errorf("%q is no header that can be set, NAME:VALUE", name)
		}
		c.Headers = append(c.Headers, Header{Name: name, Value: value})
	}
	switch {
	case !asksBy(c.Method):
		return c, fmt.Errorf("%q is not a method that can be asked", c.Method)
	case !isAnswer(status):
		return c, fmt.Errorf("%d is not a status from 200 to 599", status)
	}
	return c, nil
}

// checks reads the checks of the filter at an index of the file.
func (p *parser) checks(i int, docs []checkDocument) []Check {
	var out []Check
	for j, doc := range docs {
		line := lineOf(p.root, "filters", i, "checks", j)
		c := DefaultCheck(0)
		c.Line = line
		if m := doc.Request.Method; m.line != 0 {
			c.Method = m.value
			if !asksBy(m.value) {
				p.add(m.line, "checks: %q is not a method that can be asked", m.value)
			}
		}
		if path := doc.Request.Path; path.line != 0 {
			c.Path = path.value
			if !strings.HasPrefix(path.value, "/") {
				p.add(path.line, "checks: path %q does not begin with a slash", path.value)
			}
		}
		if doc.Request.Host != "" {
			c.Host = doc.Request.Host
		}
		c.Headers = p.checkHeaders(&doc.Request.Headers)
		c.Status = p.checkStatus(line, "expect", doc.Expect.Status, 0)
		c.Upstream = p.checkStatus(line, "upstream", doc.Upstream.Status, c.Upstream)
		out = append(out, c)
	}
	return out
}

// checkStatus reads a status; none is where there is no need to say one.
func (p *parser) checkStatus(line int, what string, status at[int], none int) int {
	switch {
	case status.line == 0 && none != 0:
		return none
	case status.line == 0:
		p.add(line, "checks: a check says what it expects: `%s: {status: CODE}`", what)
	case !isAnswer(status.value):
		p.add(status.line, "checks: %s.status %d is not from 200 to 599", what, status.value)
	}
	return status.value
}

// checkHeaders reads a mapping of headers, in its order; a list of values is a
// header given more than once. Values are never part of an error: they may be secrets.
func (p *parser) checkHeaders(n *yaml.Node) []Header {
	var out []Header
	if n = resolve(n); n.IsZero() {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		p.add(n.Line, "checks: headers are a mapping of names to values")
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		name := strings.ToLower(key.Value)
		if !settable(name) {
			p.add(key.Line, "checks: %q is not a header that can be set", key.Value)
		}
		values := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			values = value.Content
		}
		for _, v := range values {
			if v.Kind != yaml.ScalarNode || !headerValue.MatchString(v.Value) {
				p.add(v.Line, "checks: the value of header %q is not one line of text", name)
			}
			out = append(out, Header{Name: name, Value: v.Value})
		}
	}
	return out
}
