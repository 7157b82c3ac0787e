package fleet

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// What of a check Envoy's health checks can ask.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/health_check.proto

// bodyless are the methods with which a health check sends no body.
var bodyless = []string{http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodTrace}

// Unasked says why a check is not asked in a place; "" if it is.
func (c Check) Unasked(place Place) string {
	switch {
	case !c.In(place):
		return cmp.Or(c.Reason, "its where leaves it out")
	case place == InSandbox:
		return ""
	case c.Fails():
		return "one of its callouts fails, which those of a proxy do not"
	case len(c.Trailers) > 0:
		return "its request has trailers, which a health check can't send"
	case corev3.RequestMethod_value[c.Method] == 0:
		return fmt.Sprintf("there is no method %s in a health check", c.Method)
	case c.Body != "" && slices.Contains(bodyless, c.Method):
		return "a health check sends no body with " + c.Method
	case slices.ContainsFunc(c.Headers, func(h Header) bool { return !utf8.ValidString(h.Value) }):
		return "a header of its request is not UTF-8, which a health check can't send"
	}
	return ""
}

// Unproven is what of a check is not looked at in a place where it is asked.
func (c Check) Unproven(place Place) []string {
	var out []string
	if place == InSandbox {
		return nil
	}
	if len(c.Expect.Headers) > 0 {
		out = append(out, "the headers of the answer")
	}
	if !c.Expect.Body.IsZero() {
		out = append(out, "the body of the answer")
	}
	if !c.Expect.Upstream.IsZero() {
		out = append(out, "what the service sees")
	}
	if within := c.Expect.Within; within > 0 && within < ProxyTime {
		out = append(out, fmt.Sprintf("that it takes %v at most", within))
	}
	return out
}

// Proof is what of a check is shown where, for people.
func (c Check) Proof() string {
	var out []string
	for _, place := range places {
		text := string(place)
		if why := c.Unasked(place); why != "" {
			text = "not in " + text + ": " + why
			if place == InLive || place == InShadow {
				text = "not by " + text[len("not in "):]
			}
		} else if lacks := c.Unproven(place); len(lacks) > 0 {
			text += " (but not " + strings.Join(lacks, ", ") + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}
