package fleet

import (
	"fmt"
	"net/http"
	"strings"
)

// DefaultCheck is one of which nothing is said but what it expects.
func DefaultCheck(status int) Check {
	return Check{Method: http.MethodGet, Path: "/", Host: defaultHost, Status: status, Upstream: http.StatusOK}
}

func asksBy(method string) bool {
	return methodName.MatchString(method) && method != http.MethodConnect
}

func settable(header string) bool { return headerName.MatchString(header) && header != "host" }

func isAnswer(status int) bool { return status >= 200 && status <= 599 }

// CheckOf is a check as one writes it on a command line: `POST /path name:value name: more words`.
// A word with a name and a colon begins the next header. On a line of its own a header is whole,
// whatever is in its value.
func CheckOf(request string, status int) (Check, error) {
	c := DefaultCheck(status)
	first, lines, _ := strings.Cut(strings.TrimSpace(request), "\n")
	words := strings.Fields(first)
	if len(words) > 0 && !strings.HasPrefix(words[0], "/") && !strings.Contains(words[0], ":") {
		c.Method, words = words[0], words[1:]
	}
	if len(words) > 0 && strings.HasPrefix(words[0], "/") {
		c.Path, words = words[0], words[1:]
	}
	for _, text := range append(joined(words), headerLines(lines)...) {
		name, value, ok := strings.Cut(text, ":")
		name, value = strings.ToLower(name), strings.TrimSpace(value)
		if !ok || !settable(name) || !headerValue.MatchString(value) {
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

// joined puts the words of a line together, to NAME:VALUE.
func joined(words []string) (out []string) {
	for _, word := range words {
		name, _, ok := strings.Cut(word, ":")
		if begins := ok && headerName.MatchString(strings.ToLower(name)); begins || len(out) == 0 {
			out = append(out, word)
		} else {
			out[len(out)-1] += " " + word
		}
	}
	return out
}

// headerLines are the lines that say something.
func headerLines(text string) (out []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}
