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
